"""Which cores of a phone a launch is pinned to.

One cluster of equal cores wherever one is large enough: a model whose threads run on unlike cores waits for the
slowest at each operator, and times then depend on where the scheduler put each thread.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hwbench.errors import UsageError
from hwbench.records import Cluster, DeviceRecord


class CoreChoice(msgspec.Struct, frozen=True):
    """`cores` are empty where nothing can be pinned: rows are then `unpinned`.

    `described` are words that decide whether two times may be compared, `why` is a sentence for people.
    """

    cores: tuple[int, ...]
    described: str
    why: str


def choose_cores(record: DeviceRecord, threads: int, wanted: Sequence[int] = ()) -> CoreChoice:
    """The cores for so many threads: `wanted`, or those of the largest cluster that has enough of them to give.

    Raises UsageError if `wanted` holds a core that is offline or that the system keeps from hwbench, and ValueError
    without a thread.
    """
    if threads < 1:
        raise ValueError("a launch needs at least one thread")
    usable = _usable(record)
    clusters = record.phone.clusters if record.phone else record.clusters
    if wanted:
        return _wanted(tuple(sorted(set(wanted))), usable, clusters)
    if not clusters:
        reason = record.unreadable.get("sysfs") or record.unreadable.get("clusters") or "it shows no clusters of cores"
        return _unpinned(threads, f"this phone does not show which cores are large: {reason.rstrip('.')}")
    able = [(c, cores) for c in clusters if (cores := tuple(core for core in c.cores if core in usable))]
    if not able:
        return _unpinned(threads, "no core of a known cluster is online and allowed")
    ranked = _ranked([cluster for cluster, _ in able])
    if ranked is None:
        return _unpinned(threads, "its clusters show neither capacity nor clock, so which is the largest is not known")
    given = dict(able)
    for place, cluster in enumerate(ranked):
        if len(given[cluster]) >= threads:
            why = f"Cluster {_cores_of(cluster)} is the largest"
            if place:
                why += f" that has {threads} cores online and allowed"
            return CoreChoice(given[cluster][-threads:], describe(threads, [cluster]), f"{why}{_named(cluster)}.")
    return _joined(threads, ranked, given)


def describe(threads: int, clusters: Sequence[Cluster]) -> str:
    """Threads and the clusters that they share, offline cores included: `1 of 7`, `4 of 4-6+7`."""
    return f"{threads} of {'+'.join(_cores_of(cluster) for cluster in sorted(clusters, key=lambda c: c.cores))}"


def listed(cores: Sequence[int]) -> str:
    """Core numbers as the kernel lists them: `0-3,7`."""
    runs: list[list[int]] = []
    for core in sorted(cores):
        if runs and runs[-1][-1] == core - 1:
            runs[-1].append(core)
        else:
            runs.append([core])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _usable(record: DeviceRecord) -> set[int]:
    """Cores that are online and allowed; what the phone does not say does not forbid."""
    phone = record.phone
    online = set(phone.online_cores) if phone else set()
    allowed = set(record.allowed_cores)
    return online & allowed if online and allowed else online or allowed


def _ranked(clusters: Sequence[Cluster]) -> list[Cluster] | None:
    """From the largest to the smallest; None where one cannot be told from another."""
    if len(clusters) == 1 or all(c.capacity is not None for c in clusters):
        return sorted(clusters, key=lambda c: (c.capacity or 0, c.max_khz or 0, c.cores), reverse=True)
    if all(c.max_khz is not None for c in clusters):
        return sorted(clusters, key=lambda c: (c.max_khz or 0, c.cores), reverse=True)
    return None


def _joined(threads: int, ranked: Sequence[Cluster], given: dict[Cluster, tuple[int, ...]]) -> CoreChoice:
    """Cores of several clusters, the largest first, and all there are if even those are too few."""
    cores: tuple[int, ...] = ()
    used: list[Cluster] = []
    for cluster in ranked:
        missing = threads - len(cores)
        if missing <= 0:
            break
        cores += given[cluster][-missing:]
        used.append(cluster)
    why = f"No cluster has {threads} cores online and allowed, so the largest are joined."
    if len(cores) < threads:
        why = f"Only {len(cores)} cores of known clusters are online and allowed, and {threads} threads share them."
    return CoreChoice(tuple(sorted(cores)), describe(threads, used), why)


def _wanted(wanted: tuple[int, ...], usable: set[int], clusters: Sequence[Cluster]) -> CoreChoice:
    if not set(wanted) <= usable:
        missing = listed(sorted(set(wanted) - usable))
        raise UsageError(f"Cores {missing} are offline, or the phone keeps them from hwbench.",
                         hint=f"Cores {listed(sorted(usable))} can be used." if usable else None)  # fmt: skip
    parts = [tuple(core for core in wanted if core in cluster.cores) for cluster in clusters]
    parts.append(tuple(core for core in wanted if not any(core in cluster.cores for cluster in clusters)))
    text = "+".join(listed(part) for part in sorted(filter(None, parts)))
    return CoreChoice(wanted, text, f"Cores {listed(wanted)} were asked for.")


def _unpinned(threads: int, reason: str) -> CoreChoice:
    return CoreChoice((), f"{threads} unpinned", f"Nothing is pinned: {reason}.")


def _cores_of(cluster: Cluster) -> str:
    return listed(cluster.cores)


def _named(cluster: Cluster) -> str:
    facts = [cluster.core_name, f"{cluster.max_khz / 1e6:.2f} GHz" if cluster.max_khz else None]
    known = ", ".join(filter(None, facts))
    return f" ({known})" if known else ""
