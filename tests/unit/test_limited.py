"""Search under limits on published targets: what is measured, counted and answered; MetaD2A's list; HELP's table."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from benchmarks import budgets
from typer.testing import CliRunner

from hwbench.cli.main import app
from hwbench.errors import DataError, UsageError
from hwbench.spaces import nasbench201
from hwbench.workflows.adapting.few_shot import Floats, GaussianProcess, Guess, Places
from hwbench.workflows.reproducing.help_nas import PUBLISHED, read_candidates
from hwbench.workflows.reproducing.help_study import SPLITS, Study, open_study
from hwbench.workflows.reproducing.limited import AtLimit, Candidates, Protocol, summaries, under_limits
from tests.few_shot_pools import simulated_matrix

SOURCES = ("d0", "d1", "d2")
SHARES = (0.1, 0.5, 0.9)


@pytest.fixture(scope="module")
def made_up() -> Study:
    return Study(simulated_matrix(nasbench201.DEFAULT, 900, 4, 0.02), tuple(range(10)), 300)


@pytest.fixture(scope="module")
def candidates(made_up: Study) -> Candidates:
    """Slow ones are more accurate, on the whole."""
    rng, latency = np.random.default_rng(0), made_up.matrix.column("d0")
    places = rng.choice(len(latency), 400, replace=False)
    return Candidates(places, 60 + 10 * latency[places] / latency.max() + rng.normal(0, 1, 400))


def limits(study: Study, candidates: Candidates) -> dict[str, list[float]]:
    return {"d3": np.quantile(study.matrix.column("d3")[candidates.places], SHARES).tolist()}


def search(study: Study, candidates: Candidates, **changes: object) -> tuple[AtLimit, ...]:
    protocol = Protocol(**{"seeds": 2, **changes})  # type: ignore[arg-type]
    return under_limits(study, SOURCES, limits(study, candidates), candidates, protocol)


def test_every_choice_is_what_it_says(made_up: Study, candidates: Candidates) -> None:
    latency = made_up.matrix.column("d3")
    accuracy = dict(zip(candidates.places.tolist(), candidates.accuracy.tolist(), strict=True))
    found = search(made_up, candidates)
    assert [(one.seed, one.limit_us) for one in found] == [
        (seed, limit) for seed in (0, 1) for limit in limits(made_up, candidates)["d3"]
    ]
    for one in found:
        fitting = [accuracy[place] for place in accuracy if latency[place] <= one.limit_us]
        assert one.perfect.accuracy == max(fitting)
        assert one.verified.measured <= 3
        assert one.predicted.measured == one.sure.measured == 0
        for choice in (one.perfect, one.predicted, one.sure, one.verified):
            assert choice.place is not None
            assert (choice.latency_us, choice.accuracy) == (latency[choice.place], accuracy[choice.place])
            assert choice.holds == (latency[choice.place] <= one.limit_us)
        assert one.verified.holds
        assert one.sure.accuracy is not None
        assert one.predicted.accuracy is not None
        assert one.sure.accuracy <= one.predicted.accuracy
        regret = one.regret("verified")
        assert regret is not None
        assert 0 <= regret < 2
    for row in summaries(found):
        assert row.limits == 6
        assert row.held == sum(one.by(row.way).holds for one in found)


def test_only_measured_latencies_are_told(
    made_up: Study, candidates: Candidates, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[set[int]] = []
    original = GaussianProcess.adapt

    def spy(self: GaussianProcess, measured: Places, latency_us: Floats, wanted: Places) -> Guess:
        assert (latency_us == made_up.matrix.column("d3")[measured]).all()
        told.append(set(measured.tolist()))
        assert len(told[-1]) == len(measured)
        return original(self, measured, latency_us, wanted)

    monkeypatch.setattr(GaussianProcess, "adapt", spy)
    found = search(made_up, candidates, seeds=1)
    assert len(told[0]) == 10
    assert all(told[0] <= later for later in told)
    assert len(told[-1]) <= 10 + sum(one.verified.measured for one in found)
    # What is measured at one limit serves the next.
    assert max(map(len, told)) > 10 + max(one.verified.measured for one in found)


def test_a_limit_that_nothing_keeps(made_up: Study, candidates: Candidates) -> None:
    lowest = float(made_up.matrix.column("d3").min())
    (one,) = under_limits(made_up, SOURCES, {"d3": [0.5 * lowest]}, candidates, Protocol(seeds=1))
    assert one.perfect.place is None
    assert one.verified.place is None
    assert not one.verified.holds
    assert one.verified.measured <= 3
    assert one.regret("verified") is None
    assert summaries([one])[-1].accuracy is None


def test_contradictions_are_refused(made_up: Study, candidates: Candidates) -> None:
    with pytest.raises(UsageError, match="At least one seed"):
        Protocol(seeds=0)
    with pytest.raises(UsageError, match="10 reference"):
        search(made_up, candidates, picks="reference", samples=11)


def test_the_list_of_candidates_is_read_line_by_line(made_up: Study, tmp_path: Path) -> None:
    texts = [nasbench201.describe(made_up.matrix.architectures[place]) for place in (5, 2)]
    path = tmp_path / "list.txt"
    path.write_text(f"116.99\n{texts[0]}, 72.5, 0.001\n{texts[1]}, 70.25, 0.001\n{texts[0]}, 72.5, 0.002\n")
    found = read_candidates(path, made_up.matrix)
    assert (found.places.tolist(), found.accuracy.tolist()) == ([5, 2], [72.5, 70.25])
    for wrong in (f"{texts[0]}, nan, 1", f"{texts[0]}, 72.5", "|none~0|, 72.5, 1", f"{texts[0]}, 720, 1"):
        path.write_text(f"1\n{texts[1]}, 70.25, 1\n{wrong}\n")
        with pytest.raises(DataError, match="Line 3 of"):
            read_candidates(path, made_up.matrix)
    missing = msgspec.structs.replace(made_up.matrix, architectures=made_up.matrix.architectures[:2], columns=())
    path.write_text(f"1\n{texts[0]}, 70.25, 1\n")
    with pytest.raises(DataError, match="Line 2 of"):
        read_candidates(path, missing)
    path.write_text("1\n")
    with pytest.raises(DataError, match="no architecture"):
        read_candidates(path, made_up.matrix)


def test_help_exceeds_limits_that_measuring_three_holds(published: Path) -> None:
    words = ["reproduce", "help-nas", "--seeds", "1", "--data", str(published)]
    shown = CliRunner().invoke(app, words)
    assert "HELP: 10 of 15 limits held, accuracy 71.31" in shown.output
    answer = CliRunner().invoke(app, [*words, "--json"])
    assert (shown.exit_code, answer.exit_code) == (0, 0)
    document = json.loads(answer.output)
    assert document["agrees"]
    assert len(document["found"]) == len(document["published"]) == len(PUBLISHED) == 15
    verified = document["summaries"][-1]
    assert (verified["way"], verified["held"], verified["most_measured"] <= 3) == ("verified", 15, True)
    assert verified["accuracy"] >= 71.31


def test_budgets_of_a_published_target(published: Path) -> None:
    """All six targets and more seeds in benchmarks/budgets.py."""
    study, split = open_study("nasbench201", published), SPLITS["nasbench201"]
    cells = budgets.cells_of(study, f"{published / budgets.ACCURACY.local}:{budgets.COLUMN}")
    assert len(cells.places) == 15_625
    found = budgets.under_budgets(study, split.sources, ("fpga",), cells, Protocol(seeds=1))
    assert len(found) == 9
    lost = [one.regret("verified") for one in found]
    assert all(one.verified.holds and one.verified.measured <= 3 for one in found)
    assert np.mean([regret for regret in lost if regret is not None]) <= budgets.WANTED["regret"]
