"""Architecture files where model files are taken: as networks with random weights."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hwbench import spaces
from hwbench.measure.campaign import Progress
from hwbench.models.formats import FORMATS
from hwbench.spaces import architecture_file
from hwbench.workflows.model_rows import RowModel, exporting, write_rows
from hwbench.workflows.settings import MeasureOptions


def is_architecture(path: Path) -> bool:
    """Whether a file is taken as an architecture, by its name."""
    return path.suffix == architecture_file.SUFFIX


@contextmanager
def as_models(
    paths: Sequence[Path], options: MeasureOptions, on_progress: Callable[[Progress], None]
) -> Iterator[list[Path]]:
    """The files with each architecture replaced by a model of `options`, in a folder that goes afterwards.

    Raises DataError for a file that holds no architecture, ModelError for a network that cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="hwbench-") as name:
        folder = Path(name)
        (folder / "models").mkdir()
        wanted = [_network(number, path) for number, path in enumerate(paths) if is_architecture(path)]
        if wanted:
            write_rows(wanted, options, folder, exporting(on_progress))
        suffix = FORMATS[options.engine].suffix
        yield [
            folder / "models" / f"{number}{suffix}" if is_architecture(path) else path
            for number, path in enumerate(paths)
        ]


def _network(number: int, path: Path) -> RowModel:
    found = architecture_file.load(path)
    space = spaces.get(found.space)
    return RowModel(str(path), str(number), space.network(architecture_file.choices_of(space, found, path)))
