"""Scores per position and choice from files.

CSV with the columns position, choice, score; JSON as {"position": {"choice": score}}; or what a supernet's search left,
whose log-probabilities are the scores.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import msgspec

from hwbench import files
from hwbench.errors import DataError
from hwbench.search.quantities import ChoiceScores, Count, Quantity
from hwbench.search.supernet import outcome
from hwbench.spaces.space import Space

_COLUMNS = ("position", "choice", "score")


def named(text: str, space: Space) -> Quantity:
    """A score as a user names it: macs, parameters, or the path of a file. Raises as `read` does."""
    match text:
        case "macs" | "parameters":
            return Count(space, text)
        case _:
            return read(Path(text), space)


def read(path: Path, space: Space) -> ChoiceScores:
    """The scores of a file. Raises DataError naming what is wrong, Incomparable for those of another space."""
    if files.kind_of(path) == outcome.KIND:
        return outcome.load(path).scores(space, str(path))
    scores = _from_csv(path) if path.suffix.lower() == ".csv" else _from_json(path)
    return ChoiceScores.of_labels(space, scores, str(path))


def _from_json(path: Path) -> dict[str, dict[str, float]]:
    try:
        return msgspec.json.decode(files.read(path), type=dict[str, dict[str, float]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(
            f"{path} does not hold scores: {error}.", hint='Write them as {"position": {"choice": score}}, or as CSV.'
        ) from error


def _from_csv(path: Path) -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float]] = {}
    try:
        rows = csv.DictReader(io.StringIO(files.read(path).decode("utf-8-sig")), strict=True)
        if not set(_COLUMNS) <= set(rows.fieldnames or ()):
            raise DataError(f"{path} lacks a column: it needs {', '.join(_COLUMNS)}.")
        for number, row in enumerate(rows, start=2):
            position, choice, score = (row[column] for column in _COLUMNS)
            if choice in scores.setdefault(position, {}):
                raise DataError(f"Line {number} of {path} repeats {position} {choice}.")
            scores[position][choice] = float(score)
    except (csv.Error, UnicodeDecodeError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} does not hold scores: {error}.", hint="Its columns are position,choice,score."
        ) from error
    return scores
