"""Every step in one program: from two known targets to a trained network on a third.

The targets are three of this computer: LiteRT's XNNPACK and its own kernels, whose tables are measured, and XNNPACK in
int8, which is the new one. On it ten networks are measured. The known table that agrees best with them, the proxy, is
bent to them (AdaProxy). A supernet is searched under a limit on the new target; its network is trained, written as a
model file, run and timed there.

What the search feels is the bent table, since a limit in microseconds of one target says nothing in those of another.
A bent table is a sum over positions as the proxy's is: the supernet's expected latency and the search are exact.
What lies in the folder is not done again, so the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

import hwbench
from hwbench import files, spaces
from hwbench.errors import UsageError
from hwbench.reports.supernets import search_epoch_text, training_epoch_text
from hwbench.reports.units import duration, latency, percent, signed_percent
from hwbench.search import data, limits
from hwbench.search.data import Images
from hwbench.search.supernet import recipes
from hwbench.search.supernet.recipes import Recipe
from hwbench.search.supernet.settings import Gradient, HoldLimit
from hwbench.spaces.space import Space
from hwbench.tables.lookup import LookupTable, target_name
from hwbench.transfer import predictor_file
from hwbench.transfer.predictor_file import AdaptedProxy, Counted, Predictor
from hwbench.workflows.deploying import deployed
from hwbench.workflows.deploying.deploy import REPORT
from hwbench.workflows.deploying.deployed import DeployedModel, Deployment
from hwbench.workflows.extras import need_torch
from hwbench.workflows.reproducing.search import BRIEF
from hwbench.workflows.searching.supernet import Derived

TARGETS = {
    "xnnpack-fp32": hwbench.MeasureOptions(),
    "builtin-fp32": hwbench.MeasureOptions(delegate="builtin"),
    "xnnpack-int8": hwbench.MeasureOptions(precision="int8"),
}
*KNOWN, NEW = TARGETS

# Stays at the limit: far below what was measured a bent table may say anything.
_LOSS = Gradient(HoldLimit())
RECIPE = msgspec.structs.replace(
    BRIEF,
    search=msgspec.structs.replace(
        BRIEF.search, architecture=msgspec.structs.replace(BRIEF.search.architecture, by=_LOSS)
    ),
)

# In percent: how sure the limit is to hold in a new measurement.
CONFIDENCE = 95.0
# Without a limit it is what this share of random networks keep.
_QUANTILE, _SAMPLED = 0.25, 20_000
_SAME_ORDER = {
    "yes": "they put networks in the same order",
    "no": "they put networks in another order, so it matters which one stands for a new target",
    "too few": "whether they put networks in the same order cannot be told",
}

Say = Callable[[str], None]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What the measurements and images of a folder belong to. `data` None: Fashion-MNIST, of which some are taken."""

    space: str = "proxylessnas-w0.35-r28-c10-i1"
    preset: str = "quick"
    data: str | None = None
    train_images: int = 5000
    test_images: int = 1000

    def options(self, name: str) -> hwbench.MeasureOptions:
        """How a target is measured."""
        return msgspec.structs.replace(TARGETS[name], preset=self.preset)


class Predicted(msgspec.Struct, frozen=True):
    """A latency with its 95 % interval, in microseconds."""

    mean_us: float
    lower_us: float
    upper_us: float


class Found(msgspec.Struct, frozen=True):
    """The network, and what is said of its latency: by the proxy's table, by the bent one, by the new target itself.

    `own` is what the new target's own table says, if it was measured. `tables_s` is what measuring each table took,
    `networks_s` what measuring the networks took.
    """

    proxy: str
    labels: tuple[str, ...]
    limit_us: float
    by_proxy: Predicted
    adapted: Predicted
    own: Predicted | None
    model: DeployedModel
    counted: Counted
    networks_s: float
    tables_s: dict[str, float]

    @property
    def limit_kept(self) -> bool:
        return self.model.latency.value_us <= self.limit_us

    @property
    def good(self) -> bool:
        """Whether the limit is kept, and the file answers as PyTorch does."""
        return self.limit_kept and self.model.answers.agrees


def run(
    setting: Setting,
    folder: Path,
    *,
    recipe: Recipe = RECIPE,
    limit: str | None = None,
    full_table: bool = False,
    say: Say = print,
) -> Found:
    """All steps, those whose files lie in the folder aside. With `full_table` the new target's table is measured too.

    `limit` is a time such as "0.3ms". Raises UsageError for a folder of another setting, and what the steps raise.
    """
    need_torch()
    limit_us = None if limit is None else limits.parse(limit).most
    images = _images(setting, folder)
    paths = {name: folder / f"{name}.json" for name in TARGETS}
    names = TARGETS if full_table else KNOWN
    tables = {name: _table(setting, name, paths[name], say) for name in names}
    known = [paths[name] for name in KNOWN]
    _compare(known, folder, say)
    bent = folder / f"{NEW}.predictor.json"
    predictor = _adapted(setting, known, bent, say)
    proxy = _proxy(predictor, tables, known, bent, say)
    limit_us = limit_us or _limit_us(bent, spaces.get(setting.space))
    derived = _searched(bent, limit_us, images, recipe, folder / "supernet", say)
    deployment = _deployed(folder / "supernet" / "weights.safetensors", images, bent, folder / "deployed", say)
    return Found(
        proxy=proxy,
        labels=derived.candidate.labels,
        limit_us=limit_us,
        by_proxy=_predicted(paths[proxy], derived),
        adapted=_predicted(bent, derived),
        own=_predicted(paths[NEW], derived) if full_table else None,
        model=deployment.models[0],
        counted=predictor.counted,
        networks_s=predictor.seconds or 0.0,
        tables_s={name: table.seconds for name, table in tables.items()},
    )


def text(found: Found) -> str:
    """What a run found, line by line."""
    measured, answers, adapted, counted = found.model.latency, found.model.answers, found.adapted, found.counted
    off = measured.value_us / adapted.mean_us - 1
    known = ", ".join(f"{duration(seconds)} for {name}" for name, seconds in found.tables_s.items())
    lines = [
        f"network    {' '.join(found.labels)}",
        f"limit      {latency(found.limit_us)} on {NEW}, to be kept with a probability of {CONFIDENCE:.0f} %",
        f"proxy      {latency(found.by_proxy.mean_us)} by the table of {found.proxy}, which knows nothing of {NEW}",
        f"adapted    {latency(adapted.mean_us)}, 95 % interval {latency(adapted.lower_us)} .. "
        f"{latency(adapted.upper_us)}, by {counted.picked} networks measured on {NEW}",
        *([] if found.own is None else [f"own table  {latency(found.own.mean_us)} by a full table of {NEW}"]),
        f"measured   {latency(measured.value_us)}, 95 % interval {latency(measured.lower_us)} .. "
        f"{latency(measured.upper_us)}, {signed_percent(off)} from adapted"
        f"{', ' + ', '.join(measured.flags) if measured.flags else ''}: "
        f"{'the limit is kept' if found.limit_kept else 'THE LIMIT IS NOT KEPT'}",
        f"accuracy   {percent(answers.accuracy)} of {answers.images} test images by the file on {NEW}, "
        f"{percent(answers.torch_accuracy)} by PyTorch",
        f"measuring  {duration(found.networks_s)} on {NEW}: {counted.picked} networks, and "
        f"{counted.held_out + counted.repeated} to check the predictor; a full table took {known}",
        f"file       {found.model.path}",
    ]
    return "\n".join(lines)


def _images(setting: Setting, folder: Path) -> Path:
    """Some images as a file of the folder, which is the setting's from now on."""
    path = folder / "images.npz"
    chosen = None if path.exists() else _chosen_images(setting, spaces.get(setting.space))
    claim, own = folder / "setting.json", msgspec.json.format(msgspec.json.encode(setting))
    if claim.exists() and claim.read_bytes() != own:
        raise UsageError(f"{folder} belongs to another setting: see {claim}.", hint="Choose another --folder.")
    if chosen is not None:
        files.write_atomically(claim, own)
        files.write_atomically(path, chosen)
    return path


def _chosen_images(setting: Setting, space: Space) -> bytes:
    """An npz file of as many training and test images as the setting says, each class with its share."""
    height, _, channels = space.network(space.sample(1, seed=0)[0])[0].block.in_shape
    whole = data.find_fashion_mnist() if setting.data is None else data.load(Path(setting.data), height, channels)
    whole.check_fits(space)
    train, test = _some(whole.train, setting.train_images), _some(whole.test, setting.test_images)
    buffer = io.BytesIO()
    np.savez(buffer, x_train=train.pixels, y_train=train.labels, x_test=test.pixels, y_test=test.labels)
    return buffer.getvalue()


def _some(images: Images, count: int) -> Images:
    return images if count >= len(images) else data.split(images, count, seed=0)[1]


def _table(setting: Setting, name: str, path: Path, say: Say) -> LookupTable:
    if not path.exists():
        say(f"profile: the table of {name}")
        hwbench.profile(setting.space, options=setting.options(name), output=path, resume=_begun(path))
    return hwbench.load_table(path)


def _compare(known: Sequence[Path], folder: Path, say: Say) -> None:
    found = hwbench.compare(known, output=folder / "comparison.json", overwrite=True)
    (pair,) = found.pairs
    say(
        f"compare: Spearman {pair.agreement.estimate:.3f} between the known targets; {_SAME_ORDER[pair.verdict.answer]}"
    )


def _adapted(setting: Setting, known: Sequence[Path], path: Path, say: Say) -> Predictor:
    if not path.exists():
        say(f"adapt: ten networks on {NEW}")
        hwbench.adapt(known, method="adaproxy", options=setting.options(NEW), output=path, resume=_begun(path))
    return predictor_file.load(path)


def _proxy(predictor: Predictor, tables: dict[str, LookupTable], known: Sequence[Path], bent: Path, say: Say) -> str:
    """The known target whose table was bent."""
    names = {target_name(tables[name].target): name for name in KNOWN}
    for one in hwbench.choose_proxy(known, bent).candidates:
        say(
            f"proxy: {names[one.proxy]} should agree with {NEW} by a Spearman of {one.expected:.3f}, "
            f"with a probability of {percent(one.probability, 0)} by 0.9 or more"
        )
    assert isinstance(predictor.model, AdaptedProxy)
    chosen = names[predictor.model.proxy]
    say(f"proxy: {chosen}, {'bent to' if predictor.model.accepted else 'scaled to'} the measured networks")
    return chosen


def _limit_us(predictor: Path, space: Space) -> float:
    """What a quarter of random networks keep with the confidence, to three digits."""
    surely = hwbench.Latency(hwbench.latency_source(predictor), NEW, CONFIDENCE / 100)
    return float(f"{np.quantile(surely.of(space.sample(_SAMPLED, seed=0)), _QUANTILE):.3g}")


def _searched(predictor: Path, limit_us: float, images: Path, recipe: Recipe, folder: Path, say: Say) -> Derived:
    say(f"search: a supernet under {latency(limit_us)} on {NEW}")
    question = hwbench.SupernetQuestion(
        tables=(str(predictor),), limits=(f"{limit_us:.6f}us",), data=images, recipe=recipe, confidence=CONFIDENCE
    )
    found = hwbench.search_supernet(
        question,
        folder=folder,
        resume=True,
        on_search=lambda epoch: say(f"  {search_epoch_text(epoch, recipe.search)}"),
        on_training=lambda epoch: say(
            f"  {training_epoch_text(epoch.loss, epoch.epoch, epoch.seconds, recipe.training)}"
        ),
    )
    assert found.derived is not None
    return found.derived


def _deployed(weights: Path, images: Path, predictor: Path, folder: Path, say: Say) -> Deployment:
    if (folder / REPORT).exists():
        return deployed.load(folder / REPORT)
    say(f"deploy: the network on {NEW}")
    return hwbench.deploy(weights, images, tables=[predictor], output=folder, resume=True)


def _predicted(table: Path, derived: Derived) -> Predicted:
    found = hwbench.latency_source(table).predict(derived.candidate.architecture)
    return Predicted(float(found.mean_us[0]), float(found.lower_us[0]), float(found.upper_us[0]))


def _begun(path: Path) -> bool:
    """Whether a measurement for the file was interrupted."""
    return path.with_name(f"{path.name}.session").exists()


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 1 if the limit is not kept or the file's answers are wrong."""
    defaults = Setting()
    parser = argparse.ArgumentParser(
        prog="python -m examples.chain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("hwbench-results") / "chain", help="where all of it lies")
    parser.add_argument("--space", default=defaults.space, help="a chain of positions that takes the images")
    parser.add_argument("--preset", default=defaults.preset, help="how much to measure: quick, standard or publish")
    parser.add_argument("--data", help="an npz file, an IDX folder or a folder of images; by default Fashion-MNIST")
    parser.add_argument("--train-images", type=int, default=defaults.train_images)
    parser.add_argument("--test-images", type=int, default=defaults.test_images)
    parser.add_argument("--limit", help="such as 0.3ms; by default what a quarter of random networks keep")
    parser.add_argument("--settings", help="of the supernet: small, published or a JSON file; by default brief ones")
    parser.add_argument("--full-table", action="store_true", help=f"measure the table of {NEW} as well, to compare")
    options = parser.parse_args(words)
    setting = Setting(
        space=options.space, preset=options.preset, data=options.data, train_images=options.train_images,
        test_images=options.test_images,
    )  # fmt: skip
    try:
        recipe = RECIPE if options.settings is None else recipes.read(options.settings)
        found = run(setting, options.folder, recipe=recipe, limit=options.limit, full_table=options.full_table)
    except hwbench.HwbenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on.", file=sys.stderr)
        return 130
    print(f"\n{text(found)}")
    return 0 if found.good else 1


if __name__ == "__main__":
    sys.exit(main())
