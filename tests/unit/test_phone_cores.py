"""Which cores a launch is pinned to: made-up phones, and every recorded one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.devices.phone.cores import choose_cores, describe, listed
from hwbench.devices.phone.record import PhoneOutputs, phone_record
from hwbench.devices.phone.text import core_list
from hwbench.errors import UsageError
from hwbench.records import Cluster, DeviceRecord
from tests.phone_recordings import recordings


def cluster(cores: str, capacity: int | None = None, max_khz: int | None = None, online: str | None = None) -> Cluster:
    return Cluster(
        cores=core_list(cores),
        online=core_list(cores if online is None else online),
        core_name=None,
        capacity=capacity,
        min_khz=None,
        max_khz=max_khz,
        limit_khz=max_khz,
        governor=None,
    )


def phone(*clusters: Cluster, allowed: str = "", **reasons: str) -> DeviceRecord:
    record = phone_record(PhoneOutputs(getprop="[ro.product.model]: [X]\n"), salt="")
    assert record.phone is not None
    online = tuple(sorted(core for c in clusters for core in c.online))
    return msgspec.structs.replace(
        record,
        allowed_cores=core_list(allowed),
        unreadable=reasons,
        phone=msgspec.structs.replace(record.phone, clusters=clusters, online_cores=online),
    )


PRIME = (cluster("0-3", 250), cluster("4-6", 800), cluster("7", 1024))


def test_one_thread_runs_on_the_largest_core() -> None:
    choice = choose_cores(phone(*PRIME), 1)
    assert (choice.cores, choice.described) == ((7,), "1 of 7")
    assert choice.why == "Cluster 7 is the largest."


def test_threads_stay_in_one_cluster_where_one_has_enough_cores() -> None:
    assert choose_cores(phone(*PRIME), 2).described == "2 of 4-6"
    choice = choose_cores(phone(*PRIME), 4)
    assert (choice.cores, choice.described) == ((0, 1, 2, 3), "4 of 0-3")
    assert choice.why == "Cluster 0-3 is the largest that has 4 cores online and allowed."


def test_clusters_are_joined_from_the_largest_where_none_has_enough() -> None:
    choice = choose_cores(phone(cluster("0-2", 250), cluster("4-6", 800), cluster("7", 1024)), 4)
    assert (choice.cores, choice.described) == ((4, 5, 6, 7), "4 of 4-6+7")
    assert "joined" in choice.why
    choice = choose_cores(phone(*PRIME), 16)
    assert (choice.cores, choice.described) == (tuple(range(8)), "16 of 0-3+4-6+7")
    assert "Only 8 cores" in choice.why


def test_offline_and_forbidden_cores_are_not_chosen() -> None:
    sleeping = (cluster("0-3", 250), cluster("4-7", 1024, online="4"))
    assert choose_cores(phone(*sleeping), 1).cores == (4,)
    assert choose_cores(phone(*sleeping), 2).described == "2 of 0-3"
    background = choose_cores(phone(*PRIME, allowed="0-3"), 1)
    assert (background.cores, background.described) == ((3,), "1 of 0-3")


def test_clocks_rank_clusters_without_capacity() -> None:
    # Big cores come last as a rule, not always.
    assert choose_cores(phone(cluster("0-3", max_khz=2_800_000), cluster("4-7", max_khz=1_800_000)), 1).cores == (3,)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (phone(sysfs="Permission denied."), "which cores are large: Permission denied"),
        (phone(), "no clusters"),
        (phone(cluster("0-3"), cluster("4-7")), "neither capacity nor clock"),
        (phone(cluster("0-3", 250), allowed="4-7"), "no core of a known cluster"),
    ],
)
def test_without_known_clusters_nothing_is_pinned(record: DeviceRecord, words: str) -> None:
    choice = choose_cores(record, 2)
    assert (choice.cores, choice.described) == ((), "2 unpinned")
    assert words in choice.why


def test_wanted_cores_are_taken_or_refused() -> None:
    choice = choose_cores(phone(*PRIME), 4, (7, 4, 6, 5))
    assert (choice.cores, choice.described) == ((4, 5, 6, 7), "4-6+7")
    with pytest.raises(UsageError, match=r"Cores 7-8 are offline.*Cores 0-6 can be used"):
        choose_cores(phone(*PRIME, allowed="0-6"), 1, (6, 7, 8))


@given(st.sets(st.integers(0, 63)))
def test_lists_are_those_of_the_kernel(cores: set[int]) -> None:
    assert core_list(listed(tuple(cores))) == tuple(sorted(cores))


def test_words_do_not_depend_on_the_order_of_clusters() -> None:
    assert describe(4, [PRIME[2], PRIME[1]]) == describe(4, [PRIME[1], PRIME[2]]) == "4 of 4-6+7"


def check(record: DeviceRecord, threads: int) -> None:
    choice = choose_cores(record, threads)
    assert record.phone is not None
    online, allowed = set(record.phone.online_cores), set(record.allowed_cores)
    chosen = set(choice.cores)
    assert chosen <= online
    assert not allowed or chosen <= allowed
    assert len(chosen) <= threads
    assert choice.why.endswith(".")
    if not chosen:
        assert choice.described == f"{threads} unpinned"
        return
    touched = [c for c in record.phone.clusters if chosen & set(c.cores)]
    assert choice.described == describe(threads, touched)
    if len(chosen) < threads:
        assert all(not (set(c.cores) & online) - chosen or (allowed and not (set(c.cores) & online & allowed) - chosen)
                   for c in record.phone.clusters)  # fmt: skip
    if len(touched) == 1 and all(c.capacity for c in record.phone.clusters):
        larger = [c for c in record.phone.clusters if (c.capacity or 0) > (touched[0].capacity or 0)]
        assert all(len(set(c.cores) & online & (allowed or online)) < threads for c in larger)


@st.composite
def phones(draw: st.DrawFn) -> DeviceRecord:
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    found, first = [], 0
    for size in sizes:
        cores = tuple(range(first, first + size))
        online = tuple(sorted(draw(st.sets(st.sampled_from(cores)))))
        known = draw(st.booleans())
        found.append(
            cluster(
                listed(cores),
                draw(st.integers(1, 1024)) if known else None,
                draw(st.one_of(st.none(), st.integers(300_000, 3_000_000))),
                listed(online),
            )
        )
        first += size
    allowed = draw(st.sets(st.integers(0, first - 1)))
    return phone(*found, allowed=listed(tuple(allowed)))


@given(phones(), st.integers(1, 12))
def test_a_choice_keeps_to_what_is_online_and_allowed(record: DeviceRecord, threads: int) -> None:
    if record.phone is not None and record.phone.online_cores:
        check(record, threads)


def test_every_recorded_phone(published: Path) -> None:
    chosen = 0
    for row in recordings(published):
        if row.kind != "cpufreq":
            continue
        printed = (published / "phones" / row.file).read_bytes()
        outputs = PhoneOutputs(getprop="[ro.product.model]: [X]\n", sysfs=printed)
        record = phone_record(outputs, salt="")
        for threads in (1, 2, 4, 8):
            if record.phone is not None and record.phone.online_cores:
                check(record, threads)
        chosen += bool(choose_cores(record, 1).cores)
    assert chosen == 40
