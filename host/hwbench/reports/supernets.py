"""What a supernet's search does and found, for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from hwbench.reports.searches import answer_view, candidates_view
from hwbench.reports.units import duration, latency, percent
from hwbench.search.supernet.outcome import Progress
from hwbench.search.supernet.settings import SearchSettings
from hwbench.search.training.settings import TrainingSettings
from hwbench.workflows.searching.supernet import SupernetFolder, SupernetResult

_PHASES = {"warm_up": "warm-up", "search": "search"}
_WEIGHTS = {
    "scratch": "trained from scratch",
    "finetune": "trained on from the shared weights",
    "none": "the shared ones, batch norms recalibrated",
}


def search_epoch_text(epoch: Progress, settings: SearchSettings) -> str:
    """A line about an epoch of a search; the time left is that of epochs like this one."""
    epochs = settings.warm_up.epochs if epoch.phase == "warm_up" else settings.weights.epochs
    left = "" if epoch.phase == "warm_up" else f", {duration((epochs - epoch.epoch - 1) * epoch.seconds)} left"
    return (
        f"{_PHASES[epoch.phase]} {epoch.epoch + 1}/{epochs}: loss {epoch.loss:.3f}, accuracy "
        f"{percent(epoch.accuracy)}, likeliest network {percent(epoch.validation_accuracy)}, "
        f"E[latency] {latency(epoch.expected_latency_us)}, entropy {epoch.entropy:.3f}, "
        f"{duration(epoch.seconds)}{left}"
    )


def training_epoch_text(loss: float, epoch: int, seconds: float, settings: TrainingSettings) -> str:
    """A line about an epoch of the found network's training."""
    epochs = settings.weights.epochs
    left = duration((epochs - epoch - 1) * seconds)
    return f"training {epoch + 1}/{epochs}: loss {loss:.3f}, {duration(seconds)}, {left} left"


def supernet_view(found: SupernetResult) -> RenderableType:
    """The network position by position, the other candidates, accuracies, and where everything lies."""
    place, derived = SupernetFolder(found.folder), found.derived
    parts: list[RenderableType] = []
    score = "score" if derived is None else "shared accuracy" if derived.derive == "accuracy" else "log-probability"
    if len(found.candidates) > 1 or found.measured:
        parts.append(candidates_view(score, found.candidates, found.measured))
    if derived is None:
        parts.append(Text(f"None of the {len(found.measured)} measured candidates holds.", style="red"))
    else:
        parts.append(answer_view(derived.space, score, derived.candidate))
        parts.append(
            Text(
                f"held-out images, shared weights: {percent(derived.shared_accuracy)}\n"
                f"test images: {percent(derived.test_accuracy, 2)}, weights {_WEIGHTS[derived.train]}\n"
                f"Written to {place.architecture} and {place.weights}. "
                f"Next: hwbench deploy {place.weights} --table TABLE"
            )
        )
    parts.append(Text(f"How it got there: hwbench report {found.folder}"))
    parts += [Text(f"note: {note}", style="yellow") for note in found.notes]
    return Group(*parts)
