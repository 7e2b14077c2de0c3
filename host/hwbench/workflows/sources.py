"""Files that give latencies of architectures, as a user names them: tables, columns of matrices, predictors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from hwbench import files, spaces
from hwbench.errors import DataError, Incomparable, UsageError
from hwbench.spaces.space import Space
from hwbench.tables import lookup, opening
from hwbench.tables.lookup import LookupTable
from hwbench.tables.matrix import ColumnSource, LatencyMatrix
from hwbench.tables.opening import AnyTable, Source
from hwbench.tables.pool import resolve
from hwbench.transfer import predictor_file, predictor_source
from hwbench.transfer.predictor_file import MetaLearned, Predictor
from hwbench.transfer.predictor_source import PredictorSource
from hwbench.workflows.extras import need_torch

Content: TypeAlias = AnyTable | LatencyMatrix | Predictor


class Opened(msgspec.Struct, frozen=True):
    """A file that gives latencies; `column` is which target of a matrix."""

    name: str
    path: Path
    content: Content
    column: str | None = None

    def source(self, space: Space) -> Source | ColumnSource | PredictorSource:
        """Raises Incomparable when the file is of another space."""
        if not isinstance(self.content, LatencyMatrix):
            return source_of(self.content, space)
        if self.content.space != space.name:
            raise Incomparable(f"{self.path} is a matrix of {self.content.space}, not of {space.name}.")
        return ColumnSource(self.content, str(self.column))


def latency_source(text: str | Path, space: str | None = None) -> Source | ColumnSource | PredictorSource:
    """A latency source from a table, a predictor, or a matrix with one target or as `PATH:TARGET`.

    `space` is for a table that does not name its own. Raises DataError, UsageError, and Incomparable for emulated
    results or another space.
    """
    opened = open_file(str(text))
    return opened.source(space_of(opened.content, space))


def open_file(text: str) -> Opened:
    """The file of a path or of a name of the pool; of a matrix with several targets `PATH:TARGET`.

    Raises as `load` does, UsageError when no target is named, DataError when there is none of that name.
    """
    path, column = Path(text), None
    if not path.exists() and ":" in text:
        head, _, column = text.rpartition(":")
        path = Path(head)
    path = resolve(path)
    content = load(path)
    if not isinstance(content, LatencyMatrix):
        if column is not None:
            raise DataError(f"{path} is of one target and has none called {column!r}.")
        return Opened(path.stem, path, content)
    if column is None and len(content.targets) > 1:
        raise UsageError(
            f"{path} has {len(content.targets)} targets.",
            hint=f"Name one as {path}:TARGET; it has {', '.join(content.targets[:20])}.",
        )
    chosen = column or content.targets[0]
    content.column(chosen)
    return Opened(chosen, path, content, chosen)


def read(path: Path) -> Content:
    """What an own file holds, whatever it is. Raises DataError, CorruptFile or SchemaTooNew naming it."""
    return predictor_file.load(path) if _is_predictor(path) else opening.load(path)


def read_single(path: Path) -> AnyTable | Predictor:
    """As `read`, for files of one target."""
    return predictor_file.load(path) if _is_predictor(path) else opening.load_table(path)


def load(path: Path) -> Content:
    """As `read`, for latencies. Raises also DataError for another metric, Incomparable for emulated results."""
    content = read(path)
    if isinstance(content, Predictor):
        return content
    opening.refuse_emulated(path, content)
    if content.metric != "latency_us":
        raise DataError(f"{path} holds {content.metric}, not latencies.")
    return content


def source_of(content: AnyTable | Predictor, space: Space) -> Source | PredictorSource:
    """Raises Incomparable for a predictor of another space, UsageError for one of HELP without torch."""
    if not isinstance(content, Predictor):
        return opening.source_of(content, space)
    if content.space != space.name:
        raise Incomparable(f"The predictor of {content.target} is of {content.space}, not of {space.name}.")
    if isinstance(content.model, MetaLearned):
        need_torch()
    return predictor_source.source_of(content)


def space_of(content: Content, name: str | None = None) -> Space:
    """The space of that name, or the content's own. Raises UsageError when neither is known."""
    wanted = name or content.space
    if wanted is None:
        raise UsageError("The table does not say of which space it is.", hint="Add --space.")
    return spaces.get(wanted)


def common_space(contents: Mapping[Path, Content], name: str | None = None) -> Space:
    """The one space of all files, or the one that is named. Raises Incomparable, UsageError when none is known."""
    wanted = None if name is None else spaces.get(name).name
    for path, content in contents.items():
        if content.space is None:
            continue
        if wanted not in (None, content.space):
            raise Incomparable(f"{path} is of {content.space}, not of {wanted}.", hint="A pool is of one space.")
        wanted = content.space
    if wanted is None:
        raise UsageError("The files do not say of which space they are.", hint="Add --space.")
    return spaces.get(wanted)


def target_name(content: AnyTable | Predictor) -> str:
    """The target of a table or predictor in one line."""
    return lookup.target_name(content.target) if isinstance(content, LookupTable) else content.target


def target_names(contents: Mapping[Path, AnyTable | Predictor]) -> list[str]:
    """A name for the target of each; where two would be the same, the file's."""
    named, stems = [target_name(one) for one in contents.values()], [path.stem for path in contents]
    return [
        name if named.count(name) == 1 else stem if stems.count(stem) == 1 else str(path)
        for name, stem, path in zip(named, stems, contents, strict=True)
    ]


def _is_predictor(path: Path) -> bool:
    return files.kind_of(path) == opening.PREDICTOR
