"""Each kind of virtual phone shows what is special about it, and hwbench's parsers read all of them."""

from __future__ import annotations

import json
import re
import struct
from typing import Any

import msgspec
import pytest

from hwbench.devices.phone.battery import battery
from hwbench.devices.phone.df import filesystems
from hwbench.devices.phone.record import PhoneOutputs, phone_record
from hwbench.devices.phone.thermal import thermal_state
from hwbench.measure.plan import OutputDigest
from hwbench.measure.results import digests_agree
from tests.integration.bundles import built
from tests.phone.adb_server import AdbServer
from tests.phone.conftest import Phones
from tests.phone.model import VARIANTS
from tests.phone.phone import VirtualPhone
from tests.phone.test_virtual_phone_services import TMP

CPU = "/sys/devices/system/cpu"
# Entries of the auxiliary vector and their bits, from Linux's uapi/linux/auxvec.h and arm64's uapi/asm/hwcap.h.
_HWCAP, _HWCAP2 = 16, 26
_HWCAP_ASIMDDP, _HWCAP_SVE, _HWCAP2_I8MM = 1 << 20, 1 << 22, 1 << 13
# A command, its exit code, and what its output and errors contain, as a regular expression.
SHOWN = {
    "plain": [
        ("id", 0, r"uid=2000\(shell\) gid=2000\(shell\)"),
        ("echo $KSH_VERSION; getconf PAGE_SIZE; nproc", 0, r"MIRBSD KSH[^\n]*\n4096\n2\n$"),
        ("taskset 2 grep Cpus_allowed_list /proc/self/status", 0, r"^Cpus_allowed_list:\t1\n$"),
        ("taskset 40 true", 1, r"Invalid argument"),
        ("getprop ro.product.model; getprop nothing; getprop nothing none", 0, r"^Pixel 6\n\nnone\n$"),
        (f"ls -ld {TMP}", 0, r"^drwxrwx--x 2 shell shell"),
        (f"cat {CPU}/online {CPU}/possible; cat {CPU}/cpu2/cpufreq/scaling_cur_freq", 1, r"^0-1\n0-7\n.*No such file"),
        (f"cat {CPU}/cpu1/cpufreq/cpuinfo_cur_freq", 1, r"Permission denied"),
        (f"echo 1 > {CPU}/cpu1/cpufreq/scaling_max_freq", 1, r"Permission denied"),
        ("cmd power set-fixed-performance-mode-enabled true; cat /dev/phone/state/fixed_performance", 0, r"^true\n$"),
        ("dumpsys nothing", 0, r"^Can't find service: nothing\n$"),
        ("cmd nothing", 20, r"Can't find service: nothing"),
        ("svc power stayon usb; settings get global stay_on_while_plugged_in", 0, r"^2\n$"),
        ("settings get global x; settings put global x 'a  b'; settings get global x", 0, r"^null\na  b\n$"),
        ("settings delete global x; settings get global x", 0, r"^Deleted 1 rows\nnull\n$"),
        ("dumpsys battery unplug; dumpsys battery", 0, r"UPDATES STOPPED[^$]*USB powered: false"),
        ("dumpsys battery set level 5; dumpsys battery | grep ' level'; dumpsys battery reset", 0, r"^  level: 5\n$"),
        ("dumpsys battery", 0, r"^Current Battery Service state:\n  AC powered: false\n  USB powered: true\n"),
        ("input keyevent 223; cat /dev/phone/state/input", 0, r"^keyevent 223\n$"),
        ("am force-stop a.b && am instrument -w a.b/c", 1, r"Unable to find instrumentation info"),
        ("getenforce", 0, r"^Enforcing\n$"),
        ("test -e /lib -o -e /usr || which python3", 1, r"^$"),
        ("ps -p $$", 0, r"^USER +PID +PPID +VSZ +RSS +WCHAN +ADDR S NAME *\nshell "),
        ("kill -9 1; ps -A | wc -l", 0, r"not permitted"),
    ],
    "no taskset": [("taskset 1 true", 127, r"taskset: inaccessible or not found")],
    "denied": [
        ("input keyevent 223", 255, r"SecurityException: Injecting"),
        ("settings put global x 1", 255, r"SecurityException: Permission denial.*WRITE_SECURE_SETTINGS"),
        ("settings get global x", 0, r"^null\n$"),
        ("svc power stayon true", 255, r"SecurityException"),
    ],
    "unreadable thermal": [("cat /sys/class/thermal/thermal_zone0/temp", 1, r"Permission denied")],
    "unreadable cpufreq": [(f"cat {CPU}/cpu0/cpufreq/scaling_cur_freq", 1, r"Permission denied")],
    "no thermal service": [("dumpsys thermalservice", 0, r"^Can't find service: thermalservice\n$")],
    "all cores": [
        (f"cat {CPU}/online; grep -c processor /proc/cpuinfo", 0, r"^0-7\n8\n$"),
        ("taskset 40 true", 1, r"Invalid argument"),
        ("grep Cpus_allowed_list /proc/self/status", 0, r"\t0-1\n$"),
    ],
    "clock skew": [("date +%Y", 0, r"^20\d\d\n$")],
    "read-only": [(f"touch {TMP}/x", 1, r"Read-only file system")],
    "odd names": [
        ("getprop ro.serialno", 0, r"^A 'B' \"C\" \$\(reboot\)\n$"),
        ("getprop ro.product.model", 0, r"^Phone's \"\$\(id\)\" `x` 5 G; #1\n$"),
    ],
    "emulator": [("getprop ro.kernel.qemu; getprop ro.hardware", 0, r"^1\nranchu\n$")],
    "low battery": [
        ("dumpsys battery | grep -E ' level|USB|status'", 0, r"USB powered: false\n  status: 3\n  level: 9")
    ],
    "updates stopped": [("dumpsys battery", 0, r"UPDATES STOPPED")],
    "Samsung": [("dumpsys thermalservice", 0, r"Status: 0\n[^$]*CoolingDevice{mValue=3")],
}


@pytest.fixture
def adb(adb_server: AdbServer) -> AdbServer:
    return adb_server


COMMANDS = {
    "getprop": "getprop",
    "uname": "uname -a",
    "cpuinfo": "cat /proc/cpuinfo",
    "meminfo": "cat /proc/meminfo",
    "sysfs": f"for f in {CPU}/possible {CPU}/present {CPU}/online {CPU}/cpu*/cpu_capacity {CPU}/cpu*/cpufreq/*; do"
    ' echo "==> $f <=="; cat $f 2>&1; done',
    "page_size": "getconf PAGE_SIZE",
    "loadavg": "cat /proc/loadavg",
    "process_status": "cat /proc/self/status",
    "boot_id": "cat /proc/sys/kernel/random/boot_id",
}


def outputs(adb: AdbServer, phone: VirtualPhone) -> PhoneOutputs:
    """What the commands print, all asked for in one go."""
    printed = adb.shell(phone, r"; printf '\035'; ".join(COMMANDS.values())).stdout.split(b"\x1d")
    by_name: dict[str, Any] = dict(zip(COMMANDS, printed, strict=True))
    return PhoneOutputs(**by_name)


def test_every_variant_is_tried() -> None:
    assert SHOWN.keys() == VARIANTS.keys()


@pytest.mark.parametrize("variant", SHOWN)
def test_a_variant(adb: AdbServer, phones: Phones, variant: str) -> None:
    model = VARIANTS[variant]
    phone = phones(model)
    for command, code, pattern in SHOWN[variant]:
        finished = adb.shell(phone, command)
        text = (finished.stdout + finished.stderr).decode()
        assert finished.returncode == code, (command, text)
        assert re.search(pattern, text), (command, text)
    charge = battery(adb.shell(phone, "dumpsys battery").stdout)
    assert charge.level_percent == model.battery_percent
    if model.thermal_service:
        state = thermal_state(adb.shell(phone, "dumpsys thermalservice").stdout)
        assert (state.status, state.throttled) == (0, model.cooling_level > 0)


@pytest.mark.parametrize("variant", ["plain", "all cores", "unreadable cpufreq", "odd names", "emulator"])
def test_the_record_of_a_variant(adb: AdbServer, phones: Phones, variant: str) -> None:
    model = VARIANTS[variant]
    record = phone_record(outputs(adb, phones(model)), salt="salt")
    assert record.phone is not None
    assert (record.phone.manufacturer, record.phone.model) == (model.manufacturer, model.model)
    if model.readable_cpufreq:
        assert [cluster.cores for cluster in record.phone.clusters] == sorted(kind.numbers for kind in model.clusters)


def test_the_disk_is_as_large_as_the_model_says(adb: AdbServer, phone: VirtualPhone) -> None:
    (found,) = filesystems(adb.shell(phone, f"df {TMP}").stdout)
    assert found.size_bytes == VARIANTS["plain"].storage_bytes


def test_the_clock_of_a_phone_may_be_wrong(adb: AdbServer, phones: Phones) -> None:
    right, wrong = (int(adb.shell(phones(VARIANTS[name]), "date +%s").stdout) for name in ("plain", "clock skew"))
    assert abs(right + VARIANTS["clock skew"].clock_skew_s - wrong) < 60


def test_its_processor_is_none_that_qemu_gets_wrong(adb: AdbServer, phone: VirtualPhone) -> None:
    vector = adb.run("exec-out", "cat /proc/self/auxv", phone=phone).stdout
    capabilities = dict(struct.iter_unpack("<QQ", vector))
    assert capabilities[_HWCAP] & _HWCAP_ASIMDDP
    assert not capabilities[_HWCAP] & _HWCAP_SVE
    assert not capabilities[_HWCAP2] & _HWCAP2_I8MM


@pytest.mark.parametrize("variant", ["plain", "all cores", "unreadable cpufreq"])
def test_both_engines_run_in_it(adb: AdbServer, phones: Phones, variant: str) -> None:
    bundle = built("android-arm64")
    phone = phones(VARIANTS[variant])
    adb.run("push", bundle.folder, f"{TMP}/runner", phone=phone).check_returncode()
    words = " ".join(str(word).replace(str(bundle.folder), ".") for word in bundle.command)
    finished = adb.shell(phone, f"cd {TMP}/runner && exec {words} --selftest")
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)
    assert report["emulated"]
    first, second = (msgspec.convert(engine["digests"][0], OutputDigest) for engine in report["engines"])
    assert digests_agree(first, second)
