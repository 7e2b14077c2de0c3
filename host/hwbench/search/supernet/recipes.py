"""All settings of a search and of the training that follows it, as a file or under a name. Needs no torch.

    {"search": {"warm_up": {"epochs": 4}, "architecture": {"by": {"type": "reinforce"}}}, "training": {}}

What a file leaves out has the published code's value, so that `{}` is the recipe `published`.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from hwbench import files
from hwbench.errors import DataError, UsageError
from hwbench.search.supernet.settings import ArchitectureSettings, Gradient, HoldLimit, SearchSettings, WarmUp
from hwbench.search.training.settings import TrainingSettings, WeightSettings, check


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`held_out` is the share of the training images that architecture steps and validation see (ours)."""

    search: SearchSettings = SearchSettings()
    training: TrainingSettings = TrainingSettings()
    held_out: float = 1 / 6

    def __post_init__(self) -> None:
        check("held_out", 0 < self.held_out < 1, "between 0 and 1")

    def seeded(self, seed: int) -> Recipe:
        """The recipe with this seed for search and training."""
        search, training = (msgspec.structs.replace(one, seed=seed) for one in (self.search, self.training))
        return msgspec.structs.replace(self, search=search, training=training)


PUBLISHED = Recipe()
# For some ten thousand images of 28 x 28 on one processor core.
SMALL = Recipe(
    SearchSettings(
        ArchitectureSettings(Gradient(HoldLimit()), learning_rate=0.03, batch=64, every=1, first_epoch=0),
        WarmUp(epochs=8, learning_rate=0.01),
        WeightSettings(epochs=16, batch=64, learning_rate=0.01),
        beginning="alike",
    ),
    TrainingSettings(WeightSettings(epochs=24, batch=64, learning_rate=0.05), residuals="zero"),
)
NAMED = {"published": PUBLISHED, "small": SMALL}


def read(text: str) -> Recipe:
    """The recipe of a name or of a JSON file. Raises DataError naming the field that is wrong, UsageError."""
    if text in NAMED:
        return NAMED[text]
    path = Path(text)
    if not path.exists():
        raise UsageError(f"There are no settings {text!r}.", hint=f"Name a file, or one of {', '.join(sorted(NAMED))}.")
    try:
        return msgspec.json.decode(files.read(path), type=Recipe)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, UsageError) as error:
        raise DataError(f"{path} does not hold settings of a search: {str(error).rstrip('.')}.") from error
