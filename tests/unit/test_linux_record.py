"""The record of a Linux machine, from texts as kernels print them."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwbench.devices.linux import (
    LinuxMachine,
    available_memory_bytes,
    busy_jiffies,
    cpu_model,
    cpu_quota,
    device_id,
    linux_record,
    parse_core_list,
    parse_size,
    remote_linux_record,
)
from hwbench.devices.local_transport import LocalTransport
from hwbench.devices.memory_transport import InMemoryTransport
from hwbench.devices.phone.sysfs import SysfsFiles, sysfs_files
from hwbench.devices.transport import Finished
from hwbench.errors import DeviceError
from hwbench.records import Cache, DeviceRecord

X86 = "processor\t: 0\nmodel name\t: AMD EPYC 9B14\nflags\t\t: fpu hypervisor sse\n"
ARM = "CPU implementer\t: 0x41\nCPU part\t: 0xd46\n\nprocessor\t: 1\nCPU implementer\t: 0x41\nCPU part\t: 0xd4d\n"
PI = "processor\t: 0\nCPU part\t: 0xd08\n\nHardware\t: BCM2711\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"


CPU = "/sys/devices/system/cpu"
BOOT = "0f8fad5b-d9cb-469f-a165-70867728950e"


def printed(files: dict[str, str]) -> str:
    """The files as the command on a board prints them."""
    return "".join(f"==> {path} <==\n{body}\n\n" for path, body in files.items())


def cores_of(parts: list[str]) -> str:
    return "\n".join(
        f"processor\t: {n}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32\nCPU implementer\t: 0x41\n"
        f"CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {part}\nCPU revision\t: 3\n"
        for n, part in enumerate(parts)
    )


def policy(first: int, cores: str, low: int, high: int) -> dict[str, str]:
    folder = f"{CPU}/cpufreq/policy{first}"
    return {
        f"{folder}/related_cpus": cores, f"{folder}/affected_cpus": cores, f"{folder}/cpuinfo_min_freq": f"{low}",
        f"{folder}/cpuinfo_max_freq": f"{high}", f"{folder}/scaling_max_freq": f"{high}",
        f"{folder}/scaling_governor": "ondemand",
    }  # fmt: skip


RASPBERRY_PI_4 = {
    "/proc/cpuinfo": cores_of(["0xd08"] * 4)
    + "\nRevision\t: c03114\nSerial\t\t: 10000000abcdef01\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
    "/proc/meminfo": "MemTotal:        3885396 kB\nMemFree:         3049884 kB\nMemAvailable:    3489536 kB\n",
    "/proc/loadavg": "0.08 0.03 0.01 1/142 1234",
    "/proc/self/status": "Name:\tcat\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\n",
    "/proc/sys/kernel/osrelease": "6.1.21-v8+",
    "/proc/sys/kernel/random/boot_id": BOOT,
    "/etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nNAME="Debian GNU/Linux"\n',
    "/sys/fs/cgroup/cpu.max": "cat: /sys/fs/cgroup/cpu.max: No such file or directory",
    "/sys/fs/cgroup/memory.max": "cat: /sys/fs/cgroup/memory.max: No such file or directory",
    "/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    f"{CPU}/possible": "0-3", f"{CPU}/present": "0-3", f"{CPU}/online": "0-3",
    **policy(0, "0 1 2 3", 600_000, 1_500_000),
    "uname-m": "aarch64",
    "page-size": "4096",
}  # fmt: skip
ROCK_5B = RASPBERRY_PI_4 | {
    "/proc/cpuinfo": cores_of(["0xd05"] * 4 + ["0xd0b"] * 4),
    "/proc/self/status": "Cpus_allowed_list:\t0-15\n",
    "/proc/device-tree/model": "Radxa ROCK 5B\0",
    f"{CPU}/possible": "0-7", f"{CPU}/present": "0-7", f"{CPU}/online": "0-6",
    **{f"{CPU}/cpu{n}/cpu_capacity": "530" if n < 4 else "1024" for n in range(8)},
    **policy(0, "0 1 2 3", 408_000, 1_800_000),
    "/sys/fs/cgroup/cpu.max": "150000 100000", "/sys/fs/cgroup/memory.max": "max",
    f"{CPU}/cpu0/cache/index0/level": "1", f"{CPU}/cpu0/cache/index0/type": "Data",
    f"{CPU}/cpu0/cache/index0/size": "32K", f"{CPU}/cpu0/cache/index0/shared_cpu_list": "0",
    **policy(4, "4 5", 408_000, 2_400_000), **policy(6, "6 7", 408_000, 2_400_000),
}  # fmt: skip


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
    assert record.cores == os.cpu_count()
    assert record.allowed_cores == tuple(sorted(os.sched_getaffinity(0)))
    assert record.page_bytes == os.sysconf("SC_PAGE_SIZE")
    assert record.memory_bytes > LinuxMachine().available_memory_bytes() > 1 << 28


def test_this_machine_is_the_same_behind_a_transport(tmp_path: Path) -> None:
    here = LinuxMachine().record("board")
    there = remote_linux_record(LocalTransport(tmp_path), "board")
    for one, other in ((here, there), (there, here)):
        changing = {"recorded_at": one.recorded_at, "load_average": one.load_average}
        assert msgspec.structs.replace(other, **changing) == one


def test_a_raspberry_pi() -> None:
    files = sysfs_files(printed(RASPBERRY_PI_4).encode())
    record = linux_record(files, "ssh")
    assert (record.cpu_model, record.architecture, record.cores) == ("Raspberry Pi 4 Model B Rev 1.4", "aarch64", 4)
    assert record.id.startswith("raspberry-pi-4-model-b-rev-1-4-")
    assert (record.allowed_cores, record.clusters) == ((0, 1, 2, 3), ())
    assert (record.governor, record.frequency_khz_min, record.frequency_khz_max) == ("ondemand", 600_000, 1_500_000)
    assert (record.memory_bytes, record.page_bytes) == (3885396 << 10, 4096)
    assert available_memory_bytes(files) == 3489536 << 10
    assert (record.kernel, record.system) == ("6.1.21-v8+", "Debian GNU/Linux 11 (bullseye)")
    assert (record.boot_id, record.load_average, record.virtualised) == (BOOT, 0.08, None)
    assert record.unreadable == {f"sys/fs/cgroup/{name}.max": "No such file or directory" for name in ("cpu", "memory")}
    assert b"abcdef01" not in msgspec.json.encode(record)


def test_a_board_with_two_kinds_of_cores() -> None:
    record = linux_record(sysfs_files(printed(ROCK_5B)), "ssh")
    assert (record.cpu_model, record.cores, record.allowed_cores) == ("Radxa ROCK 5B", 7, tuple(range(7)))
    assert [(c.cores, c.core_name, c.capacity, c.max_khz) for c in record.clusters] == [
        ((0, 1, 2, 3), "Cortex-A55", 530, 1_800_000),
        ((4, 5), "Cortex-A76", 1024, 2_400_000),
        ((6, 7), "Cortex-A76", 1024, 2_400_000),
    ]
    assert record.clusters[-1].online == (6,)
    assert record.frequency_khz_max == 2_400_000
    assert (record.cgroup_cpus, record.caches) == (1.5, (Cache(1, "data", 32 << 10, "0"),))
    assert msgspec.json.decode(msgspec.json.encode(record), type=DeviceRecord) == record


def test_a_pc_whose_cores_reach_different_clocks_has_one_kind() -> None:
    files = {"/proc/cpuinfo": X86 + X86.replace(": 0", ": 1"), "uname-m": "x86_64"}
    files |= policy(0, "0", 400_000, 4_900_000) | policy(1, "1", 400_000, 4_950_000)
    record = linux_record(SysfsFiles(files, {}), "local")
    assert (record.clusters, record.cores, record.frequency_khz_max) == ((), 2, 4_950_000)


def test_memory_within_a_cgroup() -> None:
    files = SysfsFiles({**RASPBERRY_PI_4, "/sys/fs/cgroup/memory.max": "1048576"}, {})
    assert available_memory_bytes(files) == 1 << 20
    assert linux_record(files, "ssh").cgroup_memory_bytes == 1 << 20
    assert available_memory_bytes(SysfsFiles({}, {})) == 1 << 30


def test_names_of_people_and_machines_are_not_recorded() -> None:
    script = InMemoryTransport()
    script.answer("sh", lambda request: Finished(0, printed(RASPBERRY_PI_4).encode(), b""))
    remote_linux_record(script)
    (request,) = script.requests
    for asked in ("hostname", "whoami", "id -", "uname -a", "uname -n", "$USER", "$HOME"):
        assert asked not in request.words[-1]
    written = msgspec.json.encode(LinuxMachine().record("local")).decode()
    for name in (socket.gethostname(), getpass.getuser()):
        assert f'"{name}"' not in written


def test_a_machine_that_prints_nothing_of_itself() -> None:
    silent = InMemoryTransport(name="ssh://board")
    silent.answer("sh", lambda request: Finished(0, b"Welcome!\n", b""))
    with pytest.raises(DeviceError, match="ssh://board does not print what it is"):
        remote_linux_record(silent)


ODD = ["", "-1", "0 0", "1 0", "9" * 400, "9" * 400 + " 1", "0-99999", "x" * 5000, "\0", "1e400", "MemTotal: 1 kB"]


@pytest.mark.parametrize("path", sorted(ROCK_5B))
@settings(max_examples=30, deadline=None)
@given(text=st.sampled_from(ODD) | st.text(max_size=40))
def test_any_text_gives_a_record(path: str, text: str) -> None:
    for files in (SysfsFiles(ROCK_5B | {path: text}, {}), sysfs_files(printed(ROCK_5B | {path: text}))):
        record = linux_record(files, "ssh")
        written = msgspec.json.encode(record)
        assert msgspec.json.decode(written, type=DeviceRecord) == record
        assert available_memory_bytes(files) >= 0
        size = len(written)
        assert size < 5000


@given(st.sets(st.sampled_from(sorted(ROCK_5B))))
def test_any_file_may_be_missing(missing: set[str]) -> None:
    record = linux_record(SysfsFiles({p: t for p, t in ROCK_5B.items() if p not in missing}, {}), "ssh")
    assert 0 < record.cores <= 8
