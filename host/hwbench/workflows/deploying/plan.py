"""Which files of a network are made, where each is measured, and what latency is expected of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from hwbench.devices import Device
from hwbench.errors import DataError, Incomparable, UsageError
from hwbench.models.formats import FORMATS, Engine, Precision
from hwbench.tables import opening
from hwbench.tables.lookup import LookupTable
from hwbench.tables.opening import AnyTable
from hwbench.tables.source import LatencySource
from hwbench.transfer.predictor_file import Origin, Predictor
from hwbench.workflows import sources
from hwbench.workflows.deploying.deployable import TrainedNetwork
from hwbench.workflows.deploying.deployed import Predicted
from hwbench.workflows.networks import Bench, bench_for, bench_of
from hwbench.workflows.settings import MeasureOptions


class Form(msgspec.Struct, frozen=True):
    """A file to make of a network: for which engine, in which number format."""

    engine: Engine = "litert"
    precision: Precision = "fp32"

    @property
    def title(self) -> str:
        return f"{FORMATS[self.engine].title} {self.precision}"


class Planned(msgspec.Struct, frozen=True):
    """A form with what measures it and what is expected of it."""

    form: Form
    bench: Bench
    predicted: Predicted | None


class _Expected(msgspec.Struct, frozen=True):
    """A source of predictions; `known` says where it was measured, None where it does not tell for which form it is."""

    name: str
    source: LatencySource
    known: LookupTable | Origin | None = None


def plan_forms(
    trained: TrainedNetwork,
    forms: Sequence[Form],
    tables: Sequence[Path],
    predictor: LatencySource | None,
    device: Device,
    options: MeasureOptions,
    preset: str | None,
) -> list[Planned]:
    """The forms in order, each once; without any those of the tables, else LiteRT's fp32 and int8.

    `tables` are files of tables and predictors. Raises UsageError for one that predicts none of them or the same as
    another, Incomparable for one of another space or target or of an emulated device, MissingRows.
    """
    measured, others = _sources(trained, tables, predictor)
    wanted = list(dict.fromkeys(forms)) or list(measured) or [Form(), Form(precision="int8")]
    for form, one in measured.items():
        if form not in wanted:
            raise UsageError(
                f"{one.name} predicts {form.title}, which is not deployed.", hint="Deploy it, or leave it out."
            )
    if others and (len(wanted) > 1 or len(others) > 1 or measured):
        raise UsageError(
            f"{others[0].name} does not say of which engine and precision it is, so it can predict one file alone.",
            hint="Deploy one --engine and one --precision with it.",
        )
    predictions = {form: _predicted(one, trained) for form, one in measured.items()}
    if others:
        predictions[wanted[0]] = _predicted(others[0], trained)
    return [
        Planned(form, _bench(form, measured.get(form), device, options, preset), predictions.get(form))
        for form in wanted
    ]


def _sources(
    trained: TrainedNetwork, tables: Sequence[Path], predictor: LatencySource | None
) -> tuple[dict[Form, _Expected], list[_Expected]]:
    """Sources by the form of the target they were measured on, and those that name none."""
    measured: dict[Form, _Expected] = {}
    others = [] if predictor is None else [_Expected("The predictor", predictor)]
    for path in tables:
        one = _opened(path, trained)
        if one.known is None:
            others.append(one)
            continue
        form = _form_of(one.known)
        if form in measured:
            raise UsageError(f"{measured[form].name} and {path} both predict {form.title}.", hint="Give one of them.")
        measured[form] = one
    return measured, others


def _opened(path: Path, trained: TrainedNetwork) -> _Expected:
    content = sources.read_single(path)
    if not isinstance(content, Predictor):
        opening.refuse_emulated(path, content)
    if content.space not in (None, trained.space.name):
        raise Incomparable(f"{path} is of {content.space}; {trained.path} holds a network of {trained.space.name}.")
    return _Expected(str(path), sources.source_of(content, trained.space), _where(content))


def measured_on(path: Path) -> LookupTable | Origin | None:
    """Where the file's table or predictor was measured; None where that is not known. Raises as `read_single` does."""
    return _where(sources.read_single(path))


def _where(content: AnyTable | Predictor) -> LookupTable | Origin | None:
    if isinstance(content, Predictor):
        return content.origin
    return content if isinstance(content, LookupTable) else None


def _form_of(known: LookupTable | Origin) -> Form:
    engine: Engine = "executorch" if known.target.engine.name == "executorch" else "litert"
    return Form(engine, "int8" if known.target.precision == "int8" else "fp32")


def _predicted(expected: _Expected, trained: TrainedNetwork) -> Predicted:
    found = expected.source.predict(trained.architecture)
    lower, upper = float(found.lower_us[0]), float(found.upper_us[0])
    value, known = float(found.mean_us[0]), bool(np.isfinite(upper))
    if not 0 < value < np.inf:
        raise DataError(f"{expected.name} predicts {value:.6g} microseconds, which no network takes.")
    return Predicted(expected.name, value, lower if known else None, upper if known else None)


def _bench(
    form: Form, expected: _Expected | None, device: Device, options: MeasureOptions, preset: str | None
) -> Bench:
    """The device as the source was measured on it, or by the options."""
    if expected is not None and expected.known is not None:
        return bench_of(expected.known, Path(expected.name), device, preset, options.seed)
    chosen = msgspec.structs.replace(
        options, engine=form.engine, precision=form.precision, preset=preset or options.preset
    )
    return bench_for(device, chosen)
