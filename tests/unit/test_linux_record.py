"""The record of a Linux machine, from texts as kernels print them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.devices.linux import (
    LinuxMachine,
    busy_jiffies,
    cpu_model,
    cpu_quota,
    device_id,
    parse_core_list,
    parse_size,
)

X86 = "processor\t: 0\nmodel name\t: AMD EPYC 9B14\nflags\t\t: fpu hypervisor sse\n"
ARM = "CPU implementer\t: 0x41\nCPU part\t: 0xd46\n\nprocessor\t: 1\nCPU implementer\t: 0x41\nCPU part\t: 0xd4d\n"
PI = "processor\t: 0\nCPU part\t: 0xd08\n\nHardware\t: BCM2711\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"


def test_cpu_models() -> None:
    assert cpu_model(X86) == "AMD EPYC 9B14"
    assert cpu_model(ARM) == "Arm 0x41 0xd46 0xd4d"
    assert cpu_model(PI) == "BCM2711"
    assert cpu_model("") == "unknown"


def test_sizes_and_core_lists() -> None:
    assert [parse_size(text) for text in ("32K", "8M", "1G", "512")] == [32 << 10, 8 << 20, 1 << 30, 512]
    assert parse_core_list("0-3,7\n") == (0, 1, 2, 3, 7)
    assert parse_core_list("") == ()
    with pytest.raises(ValueError, match="not a size"):
        parse_size("-1")
    assert cpu_quota("max 100000") is None
    assert cpu_quota("150000 100000") == 1.5


@given(st.sets(st.integers(0, 200), min_size=1))
def test_a_core_list_round_trips(cores: set[int]) -> None:
    assert parse_core_list(",".join(map(str, sorted(cores)))) == tuple(sorted(cores))


def test_busy_jiffies_leave_idle_out() -> None:
    stat = "cpu  9 9 9 9 9 9 9 9\ncpu0 10 1 5 1000 7 0 2 3 0 0\ncpu1 20 0 0 500 0 0 0 0 0 0\nintr 5\n"
    assert busy_jiffies(stat) == {0: 21, 1: 20}


def test_a_device_id_is_safe_for_paths() -> None:
    assert device_id("AMD EPYC (Zen 5) / $(rm) ..", "x86_64", 2).startswith("amd-epyc-zen-5-rm-")
    assert device_id("", "x", 1).startswith("computer-")
    assert device_id("a", "x86_64", 2) != device_id("a", "x86_64", 4)


def test_what_cannot_be_read_is_none_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(X86)
    record = LinuxMachine(tmp_path).record("local")
    assert record.cpu_model == "AMD EPYC 9B14"
    assert record.virtualised == "hypervisor"
    assert record.governor is None
    assert record.unreadable["proc/meminfo"] == "No such file or directory"


def test_a_record_of_this_machine() -> None:
    record = LinuxMachine().record("local")
    assert record.cores >= len(record.allowed_cores) > 0
    assert record.memory_bytes > 1 << 28
