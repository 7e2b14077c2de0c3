"""Published kinds of tables, one file a format. A new one is a module and an entry in `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import msgspec

from hwbench.errors import DataError, UsageError
from hwbench.tables.formats import (
    fbnet_lut,
    hat_csv,
    help_pt,
    ofa_tables,
    oneproxy_csv,
    paddle,
    plain_csv,
    proxylessnas_yaml,
    single_path,
    tfnas,
    tunas,
)
from hwbench.tables.formats.document import Document, Options
from hwbench.tables.imported import ImportedTable
from hwbench.tables.matrix import LatencyMatrix

Imported: TypeAlias = ImportedTable | LatencyMatrix


class Format(msgspec.Struct, frozen=True):
    """How a kind of file is recognised, read and, where that makes sense, written."""

    name: str
    about: str
    recognises: Callable[[Document], bool]
    read: Callable[[Document, Options], Imported]
    write: Callable[[ImportedTable], bytes] | None = None


# Auto-detection asks them in this order.
FORMATS = (
    Format("help-pt", "HELP: latency/<target>.pt beside its architectures", help_pt.recognises, help_pt.read),
    Format("tfnas-pickle", "TF-NAS: pickle of block -> width -> ms", tfnas.recognises, tfnas.read),
    Format(
        "proxylessnas-yaml", "ProxylessNAS: YAML {count, mean, var}, ms, expand is the ratio",
        proxylessnas_yaml.recognises, proxylessnas_yaml.read, proxylessnas_yaml.write,
    ),
    Format(
        "ofa-yaml", "Once-for-all: YAML {count, mean, std}, ms, expand is the middle width",
        ofa_tables.recognises_yaml, ofa_tables.read_yaml, ofa_tables.write_yaml,
    ),
    Format(
        "ofa-json", "Once-for-all's keys as JSON (DynamicOFA), ms",
        ofa_tables.recognises_json, ofa_tables.read_json, ofa_tables.write_json,
    ),
    Format("tunas-linear", "TuNAS: bias and coefficients, ms", tunas.recognises, tunas.read),
    Format("fbnet-json", "FBNet: operators with percentiles, us", fbnet_lut.recognises, fbnet_lut.read),
    Format("single-path-json", "Single-Path NAS: layer -> operator, ms", single_path.recognises, single_path.read),
    Format("paddle-text", "PaddleSlim: operators, unit in the header", paddle.recognises, paddle.read),
    Format("hat-csv", "HAT: features and latency of Transformers, ms", hat_csv.recognises, hat_csv.read),
    Format("oneproxy-csv", "One Proxy: NAS-Bench-201 x targets, ms", oneproxy_csv.recognises, oneproxy_csv.read),
    Format(
        "csv", "key or architecture, target, latency with its unit",
        plain_csv.recognises, plain_csv.read, plain_csv.write_table,
    ),
)  # fmt: skip


def by_name(name: str) -> Format:
    """The format of that name. Raises UsageError."""
    for known in FORMATS:
        if known.name == name:
            return known
    raise UsageError(
        f"There is no table format {name!r}.", hint=f"Known: {', '.join(known.name for known in FORMATS)}."
    )


def detect(document: Document) -> Format:
    """The format of a file. Raises DataError when none fits."""
    for known in FORMATS:
        if known.recognises(document):
            return known
    if document.data.startswith(b'{"schema": "hwbench.'):
        raise DataError(f"{document.path} is a file of hwbench already.", hint="Use it as it is.")
    raise DataError(
        f"{document.path} is of no table format that hwbench knows.",
        hint="Name one with --format, or turn it into csv: key,target,latency_ms.",
    )


def read(path: Path, options: Options | None = None, format_name: str | None = None) -> Imported:
    """The table or matrix of a foreign file. Raises DataError naming the file, or UsageError for an unknown format."""
    chosen = by_name(format_name) if format_name else None
    document = Document.open(path)
    return (chosen or detect(document)).read(document, options or Options())
