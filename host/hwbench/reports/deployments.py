"""What a deployment found, for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from hwbench.models.formats import FORMATS
from hwbench.reports.units import latency, measured, percent, signed_percent, size
from hwbench.workflows.deploying.deployed import TOLERANCE, DeployedModel, Deployment


def deployment_view(found: Deployment) -> RenderableType:
    """The network and each of its files: hash, answers, latency beside what was predicted."""
    head = f"{found.space} on {found.device.id}, {found.device.cpu_model}\n{' '.join(found.labels)}"
    parts: list[RenderableType] = [Text(head)]
    parts += [_model_view(model, found.dataset) for model in found.models]
    parts += [Text(f"note: {note}", style="yellow") for note in found.notes]
    return Group(*parts)


def _model_view(model: DeployedModel, dataset: str) -> Text:
    lines = [
        f"{model.path}  {size(model.bytes)}  sha256 {model.sha256}",
        f"  {FORMATS[model.engine].title} {model.target.delegate} {model.precision}, "
        f"{model.target.threads} thread{'s' if model.target.threads > 1 else ''}",
    ]
    lines += [f"  {line}" for line in (*_answers(model, dataset), *_latency(model))]
    return Text("\n".join(lines), style="" if model.good else "red")


def _answers(model: DeployedModel, dataset: str) -> list[str]:
    found = model.answers
    lines = [
        f"accuracy {percent(found.accuracy, 2)} of {found.images} test images of {dataset}; PyTorch "
        f"{percent(found.torch_accuracy, 2)}, the same class for {found.same_class}",
        f"outputs differ from PyTorch's by up to {found.largest_difference:.1e} of the largest: for {model.precision} "
        + ("that agrees" if found.agrees else "THAT DOES NOT AGREE"),
    ]
    if model.host is not None:
        by = f"{model.host.largest_difference:.0f} steps"
        if model.precision == "fp32":
            by = f"{model.host.largest_difference:.1e} of the largest"
        lines.append(
            f"the same file on this computer: the same class for {model.host.same_class} of {model.host.images} "
            f"images, outputs differ by up to {by}" + ("" if model.host.agrees else ": THAT DOES NOT AGREE")
        )
    return lines


def _latency(model: DeployedModel) -> list[str]:
    found, predicted, held = model.latency, model.predicted, model.held
    flags = f"  {', '.join(found.flags)}" if found.flags else ""
    lines = [
        f"measured  {measured(found.value_us, found.flags)}, 95 % interval {latency(found.lower_us)} .. "
        f"{latency(found.upper_us)}{flags}"
    ]
    if predicted is None:
        return [*lines, "no prediction to compare with"]
    interval = "interval not known"
    if predicted.lower_us is not None and predicted.upper_us is not None:
        interval = f"95 % interval {latency(predicted.lower_us)} .. {latency(predicted.upper_us)}"
    lines.append(f"predicted {latency(predicted.value_us)}, {interval}, by {predicted.source}")
    if held is None:
        return [*lines, "an emulated latency says nothing of the prediction"]
    within = "within" if held.within_interval else "outside"
    near = "within" if held.within_tolerance else "not within"
    verdict = "the prediction holds" if held.holds else "THE PREDICTION DOES NOT HOLD"
    return [
        *lines,
        f"{signed_percent(held.error)}: {within} its interval, {near} {percent(TOLERANCE, 0)} of it: {verdict}",
    ]
