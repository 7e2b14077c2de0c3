"""The root file system of a virtual phone, as a phone of its model has it: Android's folders, no glibc, no Python."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from tests.phone.files import shell_folder, write_file
from tests.phone.heat import COOL, set_heat
from tests.phone.model import Cores, PhoneModel
from tests.phone.namespaces import OVERLAID
from tests.phone.programs import programs
from tests.phone.sync import SHELL_UID

_SYSTEM_BIN = Path(__file__).parent / "system_bin"
_ROOT_ONLY = 0o400
_FOLDERS = ("acct", "dev/phone", "proc", "sys", "vendor/bin", "data/local", "data/system", "system/etc/proc")
_DEVICES = {"null": (1, 3), "zero": (1, 5), "random": (1, 8), "urandom": (1, 9)}
_ACCOUNTS = ("root:x:0:0::/:/system/bin/sh", f"shell:x:{SHELL_UID}:{SHELL_UID}::/:/system/bin/sh")
_FEATURES = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"


def make_root(root: Path, model: PhoneModel) -> None:
    """Fills an empty folder. Needs root: files belong to the phone's users."""
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True)
    for folder in ("sdcard", "data/local/tmp", "data/app", "data/system/settings", "dev/phone/state"):
        shell_folder(root / folder)
    for name, (major, minor) in _DEVICES.items():
        device = root / "dev" / name
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(major, minor))
        device.chmod(0o666)
    _system(root, model)
    _properties(root, model)
    _processors(root, model)
    _battery(root, model)
    set_heat(root, model, COOL)


def _system(root: Path, model: PhoneModel) -> None:
    """The shell, the tools under Android's names, and Android's own commands."""
    target, source = root / "system/bin", programs()
    target.mkdir(parents=True)
    for program in ("sh", "toybox"):
        shutil.copy(source / program, target / program)
        (target / program).chmod(0o755)
    for applet in (source / "applets").read_text().split():
        if applet != "taskset" or model.taskset:
            (target / applet).symlink_to("toybox")
    for script in _SYSTEM_BIN.iterdir():
        if script.name == "date" and not model.clock_skew_s:
            continue
        (target / script.name).unlink(missing_ok=True)
        shutil.copy(script, target / script.name)
        (target / script.name).chmod(0o755)
    (root / "etc").symlink_to("system/etc")
    (root / "bin").symlink_to("system/bin")
    write_file(root / "system/etc/passwd", "".join(f"{line}\n" for line in _ACCOUNTS))
    write_file(root / "system/etc/group", f"root:x:0:\nshell:x:{SHELL_UID}:\n")
    write_file(root / "system/etc/denied", "".join(f"{command}\n" for command in model.denied))
    write_file(root / "system/etc/clock_skew_s", f"{model.clock_skew_s}\n")
    write_file(root / "system/etc/no_thermal_service", "" if model.thermal_service else "1\n")


def _properties(root: Path, model: PhoneModel) -> None:
    """A file a property, and all of them as `getprop` prints them."""
    properties = model.properties()
    for name, value in properties.items():
        write_file(root / "dev/__properties__" / name, f"{value}\n")
    write_file(
        root / "dev/__properties__/.all", "".join(f"[{name}]: [{value}]\n" for name, value in properties.items())
    )


def _processors(root: Path, model: PhoneModel) -> None:
    """/proc/cpuinfo, and of /sys what phones show of their cores; offline ones have no clocks there."""
    folder = root / "sys/devices/system/cpu"
    everything = f"0-{len(model.cores) - 1}\n"
    for name, text in {"possible": everything, "present": everything, "kernel_max": "31\n"}.items():
        write_file(folder / name, text)
    write_file(folder / "online", f"{_ranges(model.online)}\n")
    write_file(folder / "offline", f"{_ranges(tuple(set(model.cores) - set(model.online)))}\n")
    for kind in model.clusters:
        for core in kind.numbers:
            _core(folder / f"cpu{core}", kind, core, model)
    blocks = [
        f"processor\t: {core}\nBogoMIPS\t: 49.15\nFeatures\t: {_FEATURES}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: {kind.part:#x}\nCPU revision\t: 0\n\n"
        for core in model.online
        for kind in model.clusters
        if core in kind.numbers
    ]
    assert "cpuinfo" in OVERLAID
    write_file(root / "system/etc/proc/cpuinfo", "".join(blocks))


def _core(folder: Path, kind: Cores, core: int, model: PhoneModel) -> None:
    write_file(folder / "online", f"{int(core in model.online)}\n")
    write_file(folder / "cpu_capacity", f"{kind.capacity}\n")
    write_file(folder / "regs/identification/midr_el1", f"{0x00000000411F0000 | kind.part << 4:#018x}\n")
    if core not in model.online:
        return
    siblings = " ".join(map(str, kind.numbers))
    topology = {"physical_package_id": "0", "core_id": str(core), "cluster_cpus_list": _ranges(kind.numbers)}
    for name, text in topology.items():
        write_file(folder / "topology" / name, f"{text}\n")
    here = " ".join(str(number) for number in kind.numbers if number in model.online)
    clocks = {
        "affected_cpus": here, "related_cpus": siblings, "scaling_governor": model.governor,
        "cpuinfo_min_freq": kind.min_khz, "cpuinfo_max_freq": kind.max_khz,
        "scaling_min_freq": kind.min_khz, "scaling_max_freq": kind.max_khz,
        "scaling_available_frequencies": f"{kind.min_khz} {(kind.min_khz + kind.max_khz) // 2} {kind.max_khz} ",
    }  # fmt: skip
    for name, value in clocks.items():
        write_file(folder / "cpufreq" / name, f"{value}\n", 0o444 if model.readable_cpufreq else _ROOT_ONLY)
    write_file(folder / "cpufreq/cpuinfo_cur_freq", f"{kind.max_khz}\n", _ROOT_ONLY)


def _battery(root: Path, model: PhoneModel) -> None:
    """What `dumpsys battery` prints, and the files of the power supply."""
    status = 2 if model.charging else 3
    stopped = ["  (UPDATES STOPPED -- use 'reset' to restart)"] if model.updates_stopped else []
    usb = str(model.charging and not model.updates_stopped).lower()
    lines = [
        "Current Battery Service state:", *stopped, "  AC powered: false", f"  USB powered: {usb}",
        "  Wireless powered: false", "  Dock powered: false", "  Max charging current: 500000",
        "  Max charging voltage: 5000000", "  Charge counter: 3376000", f"  status: {status}", "  health: 2",
        "  present: true", f"  level: {model.battery_percent}", "  scale: 100", "  voltage: 4211",
        "  temperature: 291", "  technology: Li-ion",
    ]  # fmt: skip
    write_file(root / "system/etc/battery", "".join(f"{line}\n" for line in lines))
    supply = {
        "capacity": model.battery_percent, "status": "Charging" if model.charging else "Discharging", "temp": 291,
        "type": "Battery",
    }  # fmt: skip
    for name, value in supply.items():
        write_file(root / "sys/class/power_supply/battery" / name, f"{value}\n")


def _ranges(numbers: tuple[int, ...]) -> str:
    """A list of cores as Linux writes it: 0-3,7."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
