"""Networks searched for several targets of this computer, each measured on all of them.

    python -m benchmarks.specialization --tables fp32.json builtin.json int8.json --folder DIR --measure

The tables are of one space, measured here. Finished searches stay in the folder and the same command goes on from them:
without --measure it only searches, so that the networks can be measured when nothing else runs. The limits are those of
`hwbench reproduce specialization`, the images fewer: so many of the training set, and all of the test set.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import torch

from benchmarks.common import parser, report
from hwbench.devices import LocalDevice
from hwbench.search import data
from hwbench.search.supernet import recipes
from hwbench.workflows.reproducing.specialization import Question, specialization
from hwbench.workflows.searching.verify import OnDevice


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--tables", nargs="+", required=True)
    arguments.add_argument("--folder", type=Path, required=True, help="finished searches; a run goes on from them")
    arguments.add_argument("--images", type=int, default=3300, help="for training and architecture steps")
    arguments.add_argument("--settings", default="small", help="as of `hwbench reproduce specialization`")
    arguments.add_argument("--preset", help="how much to measure; the tables' own by default")
    arguments.add_argument("--measure", action="store_true", help="measure the networks; else the tables predict them")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    question = Question(
        tables=tuple(options.tables),
        images=_images(options.folder / "images.npz", options.images),
        recipe=recipes.read(options.settings),
        folder=options.folder,
    )
    on_device = OnDevice(LocalDevice(), options.preset) if options.measure else None
    found = specialization(question, on_device, lambda target, epoch: print(target, epoch, flush=True))
    result = {"images": options.images, "settings": question.recipe, **msgspec.structs.asdict(found)}
    report("specialization", msgspec.to_builtins(result), options.keep)


def _images(path: Path, count: int) -> Path:
    """An npz file of so many balanced training images of Fashion-MNIST, and of all test images."""
    if not path.exists():
        everything = data.find_fashion_mnist()
        _, chosen = data.split(everything.train, count, seed=0)
        test = everything.test
        np.savez(path, x_train=chosen.pixels, y_train=chosen.labels, x_test=test.pixels, y_test=test.labels)
    return path


if __name__ == "__main__":
    main()
