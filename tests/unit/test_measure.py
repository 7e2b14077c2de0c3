"""Schedules, result files, journals and the gate: nothing is lost, nothing is measured twice."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.errors import CorruptFile, UsageError
from hwbench.measure.estimate import GATE_TIMEOUT, NOISY, estimate
from hwbench.measure.gate import judge
from hwbench.measure.plan import Job, OutputDigest, Plan
from hwbench.measure.presets import PRESETS, preset
from hwbench.measure.results import digests_agree, parse_results
from hwbench.measure.samples import collect
from hwbench.measure.schedule import groups, next_rounds, restrict
from hwbench.measure.session import Session
from hwbench.records import Estimator

QUICK = PRESETS["quick"]


def visit(job: str, number: int, latencies: list[float]) -> dict[str, object]:
    wall = [round(1000 * latency) for latency in latencies]
    return {
        "kind": "visit",
        "job": job,
        "round": number,
        "start_ns": number,
        "warmup_ns": 1,
        "wall_ns": wall,
        "cpu_ns": wall,
    }


def launch_line(cores: list[int] | None) -> dict[str, object]:
    return {
        "kind": "launch", "protocol": 2, "runner": "test", "launch": 0, "engine": "litert", "engine_package": "p",
        "engine_version": "1", "engine_sha256": None, "delegate": "xnnpack", "threads": 1, "cores": cores, "pid": 1,
        "unix_ns": 1,
    }  # fmt: skip


def result_file(lines: list[dict[str, object]], status: str = "complete") -> bytes:
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    footer = {"kind": "footer", "status": status, "lines": len(lines), "sha256": hashlib.sha256(body).hexdigest()}
    return body + json.dumps(footer).encode() + b"\n"


LINES = [launch_line([0]), visit("a", 0, [1, 2, 3]), visit("b", 0, [10, 11]), visit("a", 1, [1, 1, 1])]
PLANNED = {"a": 2, "b": 1}


@given(st.integers(0, len(result_file(LINES))))
def test_a_torn_result_file_keeps_its_whole_lines(length: int) -> None:
    data = result_file(LINES)
    result = parse_results(data[:length], 0, PLANNED, "torn")
    whole = min(data[:length].count(b"\n"), len(LINES))
    assert len(result.lines) == whole
    assert result.complete == (length == len(data))


@given(st.integers(0, len(result_file(LINES)) - 2), st.integers(0, 7))
def test_a_damaged_result_file_is_never_complete(position: int, bit: int) -> None:
    data = bytearray(result_file(LINES))
    data[position] ^= 1 << bit
    try:
        complete = parse_results(bytes(data), 0, PLANNED, "damaged").complete
    except CorruptFile:
        complete = False
    assert not complete


def test_results_for_unplanned_jobs_are_refused() -> None:
    with pytest.raises(CorruptFile, match="'b', which was not planned"):
        parse_results(result_file(LINES), 0, {"a": 2}, "file")


def test_a_visit_without_samples_is_refused() -> None:
    with pytest.raises(CorruptFile, match="without valid samples"):
        parse_results(result_file([visit("a", 0, [])]), 0, {"a": 2}, "file")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([launch_line([0]), visit("a", 0, [1]), visit("a", 0, [1])], "a second visit of round 0"),
        ([visit("a", 2, [1])], "round 2 of 2"),
        ([visit("a", 0, [1]) | {"round": -1}], "round -1 of 2"),
        ([launch_line([0]) | {"launch": 1}], "the beginning of launch 1"),
        ([launch_line([0]), launch_line([0])], "the beginning of launch 0 in line 2"),
        ([visit("a", 0, [-1])], "times that cannot be"),
        ([visit("a", 0, [0])], "times that cannot be"),
        ([visit("a", 0, [1e300])], "times that cannot be|unreadable"),
        ([visit("a", 0, [1]) | {"start_ns": -1}], "times that cannot be"),
        ([{"kind": "load", "job": "a", "load_ns": -5, "first_ns": 1, "digests": []}], "times that cannot be"),
        ([visit("a", 0, [1]) | {"wall_ns": [float("nan")]}], "the unreadable line 1"),
    ],
)
def test_what_cannot_have_been_measured_is_refused(lines: list[dict[str, object]], said: str) -> None:
    with pytest.raises(CorruptFile, match=said):
        parse_results(result_file(lines), 0, PLANNED, "file")


@given(st.sampled_from([b"[", b'{"kind":', b'{"kind":"load","digests":[']), st.integers(2000, 200_000))
def test_lines_nested_without_end_are_refused(part: bytes, times: int) -> None:
    with pytest.raises(CorruptFile, match="unreadable line 1"):
        parse_results(part * times + b"\n", 0, PLANNED, "file")


rows = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 40), min_size=1)


@given(rows, st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 0.2)))
def test_the_schedule_ends_with_every_row_served(have: dict[str, int], widths: dict[str, float]) -> None:
    have = dict(have)
    for _ in range(100):
        launch = next_rounds(have, widths, QUICK)
        if not launch:
            break
        assert all(count > 0 for count in launch.values())
        for row, count in launch.items():
            have[row] += count
    cap = QUICK.max_launches * QUICK.rounds
    for row, count in have.items():
        assert count >= QUICK.base_rounds
        assert count >= cap or widths.get(row, 0.0) <= QUICK.target


def test_a_broken_launch_is_completed_before_the_next() -> None:
    one, two = QUICK.rounds, 2 * QUICK.rounds
    assert next_rounds({"a": one, "b": 2}, {}, QUICK) == {"b": one - 2}
    assert next_rounds({"a": one, "b": one}, {}, QUICK) == {"a": one, "b": one}
    assert next_rounds({"a": two, "b": two}, {"a": 0.2}, QUICK) == {"a": one}


@given(st.dictionaries(st.text(min_size=1), st.integers(1, 1000), min_size=1), st.integers(1, 3000))
def test_groups_fit_the_budget_and_hold_every_row_once(sizes: dict[str, int], budget: int) -> None:
    dealt = groups(sizes, budget)
    assert sorted(row for group in dealt for row in group) == sorted(sizes)
    assert all(sum(sizes[row] for row in group) <= budget or len(group) == 1 for group in dealt)
    assert sum(map(len, restrict(dict.fromkeys(sizes, 1), dealt))) == len(sizes)


def plan(number: int, jobs: dict[str, int]) -> Plan:
    return Plan(
        launch=number, run_pass="time", delegate="xnnpack", threads=1, cores=(0,), seed=0, deadline_s=1.0,
        memory_budget_bytes=1, parent_pid=0, jobs=tuple(Job(name, name, "", rounds) for name, rounds in jobs.items()),
    )  # fmt: skip


def test_a_session_resumes_with_what_it_has(tmp_path: Path) -> None:
    session = Session.open(tmp_path / "s", {"space": "x"}, resume=False)
    session.begin(plan(0, {"a": 2, "b": 1}))
    session.results_path(0).write_bytes(result_file(LINES)[:-100])
    with (tmp_path / "s" / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"type":"ended","laun')
    again = Session.open(tmp_path / "s", {"space": "x"}, resume=True)
    assert [planned.launch for planned in again.launches] == [0]
    assert collect(again.results(), Estimator()).total_rounds(["a", "b"]) == 3
    again.end(0, "partial")
    assert Session.open(tmp_path / "s", {"space": "x"}, resume=True).unfinished == []


def test_a_session_whose_first_line_is_torn_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "journal.jsonl").write_bytes(b'{"type":"opening","sch')
    Session.open(tmp_path / "s", {"space": "x"}, resume=False).begin(plan(0, {"a": 1}))
    assert len(Session.open(tmp_path / "s", {"space": "x"}, resume=True).launches) == 1


def test_a_session_is_not_resumed_with_other_settings(tmp_path: Path) -> None:
    Session.open(tmp_path / "s", {"space": "x", "threads": "1"}, resume=False)
    with pytest.raises(UsageError, match=r"threads was 1, is 2"):
        Session.open(tmp_path / "s", {"space": "x", "threads": "2"}, resume=True)
    with pytest.raises(UsageError, match="--resume to continue"):
        Session.open(tmp_path / "s", {"space": "x", "threads": "1"}, resume=False)


def launches(*found: dict[str, list[float]]) -> list[bytes]:
    """Result files of launches, each a mapping of job to the latency of each of its rounds."""
    return [
        result_file(
            [
                launch_line([0]),
                *(visit(job, n, [us] * 5) for job, all_us in jobs.items() for n, us in enumerate(all_us)),
            ]
        )
        for jobs in found
    ]


def samples_of(*found: dict[str, list[float]]):  # type: ignore[no-untyped-def]
    parsed = [parse_results(data, 0, {"anchor": 1000, "row": 1000}, "f") for data in launches(*found)]
    return collect(parsed, Estimator())


def test_a_launch_beside_a_neighbour_costs_nothing() -> None:
    samples = samples_of(
        {"anchor": [100.0] * 6, "row": [50.0] * 6},
        {"anchor": [112.0] * 6, "row": [60.0] * 6},
        {"anchor": [101.0] * 6, "row": [50.5] * 6},
    )
    gate = judge(samples, ["anchor"], Estimator())
    assert [round(gate.launches[n], 2) for n in range(3)] == [0.0, 0.12, 0.01]
    assert not gate.closed
    row = estimate(samples, Estimator(), gate).measurements["row"]
    assert row.value_us == pytest.approx(50.0)
    assert GATE_TIMEOUT not in row.flags


def test_a_known_baseline_unmasks_a_run_that_was_slow_throughout() -> None:
    samples = samples_of({"anchor": [112.0] * 6, "row": [50.0] * 6})
    gate = judge(samples, ["anchor"], Estimator(), {"anchor": 100.0})
    assert gate.slowdown == pytest.approx(0.12)
    assert GATE_TIMEOUT in estimate(samples, Estimator(), gate).measurements["row"].flags


def test_a_row_that_only_once_was_fast_is_noisy() -> None:
    samples = samples_of({"anchor": [100.0] * 6, "row": [50.0, 50.0, 65.0, 65.0, 65.0, 65.0]})
    row = estimate(samples, Estimator(), judge(samples, ["anchor"], Estimator())).measurements["row"]
    assert NOISY in row.flags
    assert row.upper_us >= 65.0 * 0.99


def digest(**changes: object) -> OutputDigest:
    fields = {
        "type": "float32",
        "size": 100,
        "sum": 5.0,
        "l2": 10.0,
        "max_abs": 2.0,
        "values": tuple(range(64)),
    } | changes
    return OutputDigest(**fields)  # type: ignore[arg-type]


def test_digests_tell_outputs_apart() -> None:
    shuffled = (1, 0, *range(2, 64))
    assert digests_agree(digest(), digest(sum=5.0 + 1e-5))
    assert not digests_agree(digest(), digest(values=shuffled))
    assert not digests_agree(digest(), digest(values=(1.0,) * 64))
    assert not digests_agree(digest(), digest(size=101))
    assert digests_agree(digest(type="int8"), digest(type="int8", values=tuple(n + 1 for n in range(64))))
    assert not digests_agree(digest(type="int8"), digest(type="int8", values=tuple(n + 2 for n in range(64))))
    assert digests_agree(digest(type="int8"), digest(type="int8", values=tuple(n + 2 for n in range(64))), network=True)


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(UsageError, match=r"'slow'.*quick, standard, publish"):
        preset("slow")
