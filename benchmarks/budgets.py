"""NAS-Bench-201 under nine latency budgets of each of HELP's test targets: what few measurements lose and hold.

A predictor is adapted to the target from 10 measurements; then at most 3 candidates are measured at a budget. Budgets
are deciles of the target's latencies over all architectures, which are all candidates; regret is in points of CIFAR-100
test accuracy below the most accurate architecture under the budget. With --known the same on the targets that HELP's
test does not have, one device family left out, for all architectures and for MetaD2A's list, by which chance counts as
certain: this chose it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from benchmarks.common import parser, report
from benchmarks.few_shot_settings import families
from hwbench import spaces
from hwbench.search import accuracies
from hwbench.tables.formats.published import published
from hwbench.transfer.fronts import SHARES
from hwbench.workflows.adapting.few_shot import architectures_of
from hwbench.workflows.reproducing.help_nas import CANDIDATES, SPACE, read_candidates
from hwbench.workflows.reproducing.help_study import SPLITS, Study, open_study
from hwbench.workflows.reproducing.limited import WAYS, AtLimit, Candidates, Protocol, summaries, under_limits
from hwbench.workflows.reproducing.reproduce import data_folder

ACCURACY = published("nb201/accuracy.csv")
COLUMN = "e200_cifar100_test"
WANTED = {"regret": 0.3, "held": 0.95}
SURE = (0.9, 0.95, 0.98, 0.99, 0.995)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--known", action="store_true", help="on targets that may be learned from")
    options = arguments.parse_args()
    study, split = open_study(SPACE), SPLITS[SPACE]
    folder = data_folder(None, (ACCURACY, CANDIDATES))
    cells = cells_of(study, f"{folder / ACCURACY.local}:{COLUMN}")
    protocol = Protocol(seeds=options.seeds)
    if options.known:
        offered = {"all": cells, "MetaD2A": read_candidates(folder / CANDIDATES.local, study.matrix)}
        report("budgets_settings", {"rows": list(_known(study, offered, protocol))}, options.keep)
        return
    found = under_budgets(study, split.sources, split.targets, cells, protocol)
    targets = {target: _row([one for one in found if one.target == target]) for target in split.targets}
    document = {"protocol": msgspec.to_builtins(protocol), "wanted": WANTED, "all": _row(found), "targets": targets}
    report("budgets", document, options.keep)


def _known(study: Study, offered: dict[str, Candidates], protocol: Protocol) -> Iterator[dict[str, Any]]:
    known = (*SPLITS[SPACE].sources, *SPLITS[SPACE].validation)
    for (name, candidates), sure in itertools.product(offered.items(), SURE):
        asked, found = msgspec.structs.replace(protocol, sure=sure), []
        for targets in families(known):
            sources = [one for one in known if one not in targets]
            found += under_budgets(study, sources, targets, candidates, asked)
        yield {"candidates": name, "certain_from": sure, **_row(found)}


def under_budgets(
    study: Study, sources: Sequence[str], targets: Sequence[str], candidates: Candidates, protocol: Protocol
) -> tuple[AtLimit, ...]:
    budgets = {target: np.nanquantile(study.matrix.column(target)[candidates.places], SHARES) for target in targets}
    limits_us = {target: found.tolist() for target, found in budgets.items()}
    return under_limits(study, sources, limits_us, candidates, protocol)


def cells_of(study: Study, file: str) -> Candidates:
    """All architectures of the study with their accuracies."""
    found = accuracies.read(file, spaces.get(study.matrix.space)).of(architectures_of(study.matrix))
    places = np.flatnonzero(np.isfinite(found))
    return Candidates(places, found[places])


def _row(found: Sequence[AtLimit]) -> dict[str, Any]:
    """Each way's summary, with its largest regret and the shares of budgets by the number of measurements."""
    rows = {one.way: msgspec.to_builtins(one) for one in summaries(found)}
    for way in WAYS:
        lost = [regret for one in found if (regret := one.regret(way)) is not None]
        rows[way] |= {"held_share": rows[way]["held"] / len(found), "worst_regret": max(lost, default=None)}
    return rows


if __name__ == "__main__":
    main()
