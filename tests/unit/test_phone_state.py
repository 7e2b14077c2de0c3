"""state.sh in the shells of phones, and what is made of what it prints."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.devices.phone.reading import phone_outputs, phone_reading
from hwbench.devices.phone.record import PhoneOutputs, phone_record
from hwbench.devices.phone.sections import Sections, is_last, new_token, split
from hwbench.devices.phone.state import Warmth, limits_differ, phone_state
from hwbench.devices.phone.sysfs import sysfs_files
from hwbench.devices.runner_files import harness_script
from hwbench.errors import DataError, DeviceError
from tests.fake_phone import HARNESS, SHELLS, FakePhone
from tests.table_files import mutate

TOKEN = "0123456789abcdef"
CPU = "/sys/devices/system/cpu"
LISTS = ("possible", "present", "online")
PROC_STATUS = "Name:\tcat\nCpus_allowed:\tf0\nCpus_allowed_list:\t4-7\n"
BOOT_ID = "8538c5a6-8277-449c-968b-45d2ee786237"
THERMAL = """IsStatusOverride: false
Thermal Status: 0
HAL Ready: true
Current temperatures from HAL:
    Temperature{mValue=61.0, mType=0, mName=CPU0, mStatus=0}
    Temperature{mValue=31.5, mType=3, mName=skin, mStatus=0}
    Temperature{mValue=29.0, mType=2, mName=battery, mStatus=0}
Current cooling devices from HAL:
    CoolingDevice{mValue=3, mType=0, mName=fan}
    CoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}
"""
BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  status: 2
  present: true
  level: 75
  scale: 100
  voltage: 4156
  temperature: 305
"""
DF = """Filesystem     1K-blocks     Used Available Use% Mounted on
/dev/block/dm-9 112000000 60000000  50000000  55% /data
"""


@pytest.fixture(params=SHELLS)
def phone(request: pytest.FixtureRequest, tmp_path: Path) -> FakePhone:
    """A phone with a system, two clusters, a battery and thermal zones."""
    found = FakePhone(
        tmp_path,
        request.param,
        {
            "getprop": "/bin/cat getprop.txt",
            "dumpsys": '/bin/cat "dumpsys-$1.txt" || { echo "Can\'t find service: $1"; exit 0; }',
            "getconf": "echo 16384",
        },
    )
    found.write("getprop.txt", "[ro.product.model]: [Pixel 8]\n[ro.serialno]: [R58M0000]\n")
    found.write("dumpsys-thermalservice.txt", THERMAL)
    found.write("dumpsys-battery.txt", BATTERY)
    for name, content in {"possible": "0-7", "present": "0-7", "online": "0-7"}.items():
        found.write(f"{CPU}/{name}", content + "\n")
    for policy, cores, top in ((0, "0 1 2 3", 1_800_000), (4, "4 5 6 7", 2_800_000)):
        files = {"related_cpus": cores, "cpuinfo_min_freq": 300_000, "cpuinfo_max_freq": top,
                 "scaling_max_freq": top, "scaling_cur_freq": 600_000, "scaling_governor": "walt"}  # fmt: skip
        for name, value in files.items():
            found.write(f"{CPU}/cpufreq/policy{policy}/{name}", f"{value}\n")
    for number, (kind, value) in enumerate((("battery", 30_100), ("cpu-0-0", 55_000))):
        found.write(f"/sys/class/thermal/thermal_zone{number}/type", f"{kind}\n")
        found.write(f"/sys/class/thermal/thermal_zone{number}/temp", f"{value}\n")
    for name, value in {"capacity": "74", "status": "Charging", "temp": "301"}.items():
        found.write(f"/sys/class/power_supply/battery/{name}", f"{value}\n")
    found.write("/proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd05\n")
    found.write("/proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n")
    found.write("/proc/loadavg", "1.50 1.20 1.00 1/800 123\n")
    found.write("/proc/self/status", PROC_STATUS)
    found.write("/proc/self/cpuset", "/foreground\n")
    found.write("/proc/self/smaps", "5000-6000 r--p 0 00:00 0\nRss:  4 kB\nKernelPageSize:        4 kB\n")
    found.write("/proc/sys/kernel/random/boot_id", BOOT_ID + "\n")
    return found


def asked(phone: FakePhone, what: str) -> Sections:
    done = phone.run(["sh", f"{phone.folder}/state.sh", TOKEN, what])
    assert (done.code, done.stderr) == (0, b"")
    return split(done.stdout, TOKEN)


def test_one_run_makes_a_record(phone: FakePhone) -> None:
    sections = asked(phone, "record")
    assert (sections.complete, sections.refused) == (True, {})
    reading = phone_reading(sections, salt="salt")
    record = reading.record
    assert reading.cpuset == "/foreground"
    assert (record.page_bytes, record.load_average, record.boot_id) == (16384, 1.5, BOOT_ID)
    assert (record.memory_bytes, record.allowed_cores, record.cores) == (8_192_000_000, (4, 5, 6, 7), 8)
    assert record.phone is not None
    assert [(c.cores, c.max_khz) for c in record.phone.clusters] == [
        ((0, 1, 2, 3), 1_800_000),
        ((4, 5, 6, 7), 2_800_000),
    ]
    assert (record.governor, record.unreadable) == ("walt", {})


def test_a_record_by_the_script_is_that_of_the_same_files(published: Path, tmp_path: Path) -> None:
    """Every recorded phone whose files of /sys are known, put into a folder and asked by the real script."""
    compared = 0
    for number, source in enumerate(sorted((published / "phones" / "cpufreq").glob("*.txt"))):
        if b"==> " not in source.read_bytes():
            continue
        files = sysfs_files(source.read_bytes())
        phone = FakePhone(tmp_path / str(number), "dash", {"getprop": "/bin/cat getprop.txt"})
        phone.write("getprop.txt", "[ro.product.model]: [X]\n")
        kept = {}
        for path, content in files.contents.items():
            name = path.rpartition("/")[2]
            if "\n" in content or ("/cpufreq/" not in path and name not in ("cpu_capacity", *LISTS)):
                continue
            phone.write(path, content + "\n")
            kept[path] = content
        if not kept:
            continue
        listing = "".join(f"==> {path} <==\n{content}\n\n" for path, content in kept.items())
        expected = phone_record(PhoneOutputs(getprop="[ro.product.model]: [X]\n", sysfs=listing), salt="")
        found = phone_reading(asked(phone, "record"), salt="").record
        assert (found.phone, found.cores, found.governor) == (expected.phone, expected.cores, expected.governor)
        compared += 1
    assert compared > 35


def test_what_the_phone_refuses_is_named_with_its_reason(phone: FakePhone) -> None:
    governor = phone.root / "sys/devices/system/cpu/cpufreq/policy4/scaling_governor"
    governor.unlink()
    governor.mkdir()
    (phone.root / "bin" / "getprop").unlink()
    (phone.root / "bin" / "getconf").unlink()
    (phone.root / "proc/sys/kernel/random/boot_id").unlink()
    sections = asked(phone, "record")
    assert "exit status 127" in sections.refused["getprop"]
    assert b"16384" not in sections.bodies["page_size"]
    assert sections.bodies["page_size"] == b"4096\n"
    assert "No such file" in sections.refused["boot_id"]
    assert sysfs_files(sections.bodies["sysfs"]).unreadable == {
        f"{CPU}/cpufreq/policy4/scaling_governor": "Is a directory"
    }
    with pytest.raises(DeviceError, match="does not say what it is: getprop: exit status 127"):
        phone_outputs(sections)


def test_a_phone_cannot_forge_a_boundary(phone: FakePhone) -> None:
    forged = "[ro.a]: [1]\n00112233 end 0\nend 0\n 0123456789abcdef end 0\n==> /sys/x <==\n$(kill $$) `id` \\n %s"
    phone.write("getprop.txt", forged)
    phone.write("/sys/class/thermal/thermal_zone0/type", "$(kill $$) \\c back`id`\n")
    assert asked(phone, "record").bodies["getprop"] == forged.encode()
    sections = asked(phone, "state")
    assert sections.complete
    assert (
        sysfs_files(sections.bodies["thermal_zones"]).contents["/sys/class/thermal/thermal_zone0/type"]
        == "$(kill $$) \\c back`id`"
    )


def test_a_state(phone: FakePhone) -> None:
    state = phone_state(asked(phone, "state"), phone.folder)
    assert (state.battery_percent, state.charging, state.battery_frozen) == (75, True, False)
    assert state.warmest == Warmth(31.5, "skin (thermalservice)")
    assert state.battery_warmth == Warmth(29.0, "battery (thermalservice)")
    assert (state.thermal_status, state.throttling) == (0, ())
    assert [(c.cores, c.current_khz, c.limit_khz) for c in state.clocks] == [
        ((0, 1, 2, 3), 600_000, 1_800_000),
        ((4, 5, 6, 7), 600_000, 2_800_000),
    ]
    assert state.free_bytes is not None
    assert state.unreadable == {}


def test_watching_ends_with_standard_input(phone: FakePhone) -> None:
    watching = phone.start(["sh", f"{phone.folder}/state.sh", TOKEN, "watch", "1"])
    assert watching.stdout is not None
    assert watching.stdin is not None
    try:
        for _ in range(2):
            lines = []
            while not lines or not is_last(lines[-1], TOKEN):
                lines.append(watching.stdout.readline())
                assert lines[-1], "it ended before its input did"
            assert split(b"".join(lines), TOKEN).complete
        watching.stdin.close()
        watching.wait(timeout=20)
    finally:
        watching.kill()
        watching.wait()
        watching.stdout.close()
        assert watching.stderr is not None
        watching.stderr.close()


@pytest.mark.parametrize(
    "words",
    [
        (),
        (TOKEN,),
        ("no token", "state"),
        ("", "record"),
        (TOKEN, "reboot"),
        (TOKEN, "watch", "1;ls"),
        (TOKEN, "watch"),
    ],
)
def test_a_wrong_command_line_is_refused(phone: FakePhone, words: tuple[str, ...]) -> None:
    done = phone.run(["sh", f"{phone.folder}/state.sh", *words])
    assert (done.code, done.stdout) == (64, b"")
    assert done.stderr.startswith(b"usage: ")


def printed(bodies: Mapping[str, bytes], end: bytes = b"\n") -> bytes:
    """As state.sh prints them."""
    sections = [
        b"%s %s%s%s%s%s end 0%s" % (TOKEN.encode(), name.encode(), end, body, end, TOKEN.encode(), end)
        for name, body in bodies.items()
    ]
    return b"".join(sections) + b"%s complete %d%s" % (TOKEN.encode(), len(bodies), end)


names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True).filter(lambda name: name not in ("end", "complete"))
# A carriage return at a body's end may be of an old terminal's line end.
bodies = st.dictionaries(names, st.binary(max_size=60).map(lambda body: body.rstrip(b"\r")), max_size=5)


@given(bodies, st.sampled_from([b"\n", b"\r\n", b"\r\r\n"]))
def test_sections_are_what_was_printed(held: dict[str, bytes], end: bytes) -> None:
    assert split(printed(held, end), TOKEN) == Sections(held, {}, True)


@given(bodies, st.data())
def test_a_torn_reading_holds_whole_sections_only(held: dict[str, bytes], data: st.DataObject) -> None:
    whole = printed(held)
    found = split(whole[: data.draw(st.integers(0, len(whole) - 1))], TOKEN)
    assert not found.complete
    assert all(held[name] == body for name, body in found.bodies.items())
    assert all(found.reason(name) for name in held)


@given(st.lists(st.sampled_from([TOKEN, " ", "end 0", "end 1", "complete 1", "getprop", "battery", "\n", "\r"])))
def test_any_order_of_boundaries_is_handled(parts: list[str]) -> None:
    found = split("".join(parts).encode(), TOKEN)
    assert not set(found.bodies) & set(found.refused)


def test_a_section_printed_twice_is_not_believed() -> None:
    once = printed({"getprop": b"[a]: [1]"}).replace(f"{TOKEN} complete 1\n".encode(), b"")
    found = split(once + printed({"getprop": b"[a]: [2]"}), TOKEN)
    assert (found.bodies, found.refused, found.complete) == ({}, {"getprop": "printed twice"}, False)


def test_tokens_differ_and_are_accepted() -> None:
    tokens = {new_token() for _ in range(50)}
    assert len(tokens) == 50
    assert all(split(b"", token).bodies == {} for token in tokens)
    with pytest.raises(ValueError, match="not a token"):
        split(b"", ".*")


def sections(**held: str) -> Sections:
    return Sections({name: body.encode() for name, body in held.items()}, {}, True)


FROZEN = BATTERY.replace("state:\n", "state:\n  (UPDATES STOPPED -- use 'reset' to restart)\n").replace("305", "250")
SUPPLY = "".join(
    f"==> /sys/class/power_supply/battery/{name} <==\n{value}\n" for name, value in
    {"capacity": "61", "status": "Discharging", "temp": "388"}.items()
)  # fmt: skip


def test_frozen_battery_figures_are_never_used() -> None:
    state = phone_state(sections(battery=FROZEN), "/data")
    assert state.battery_frozen
    assert (state.battery_percent, state.charging, state.battery_warmth, state.warmest) == (None, None, None, None)
    assert "stopped" in state.unreadable["battery"]
    state = phone_state(sections(battery=FROZEN, power_supply=SUPPLY), "/data")
    assert (state.battery_percent, state.charging) == (61, False)
    assert state.warmest == Warmth(38.8, "battery (power_supply)")


def test_chips_do_not_count_for_the_gate() -> None:
    chips = "".join(line + "\n" for line in THERMAL.splitlines() if "skin" not in line and "battery" not in line)
    state = phone_state(sections(thermalservice=chips), "/data")
    assert state.warmest is None
    assert state.unreadable["warmest"] == "nothing on this phone shows it"
    assert phone_state(sections(thermalservice=chips, battery=BATTERY), "/data").warmest == Warmth(
        30.5, "battery (dumpsys battery)"
    )


def test_zones_serve_where_there_is_no_thermal_service() -> None:
    sensors = {"cpu-1-0": 71000, "skin-therm": 36400, "mtktsbattery": 31500, "case": 33000}
    folder = "/sys/class/thermal/thermal_zone"
    zones = "".join(
        f"==> {folder}{n}/type <==\n{kind}\n==> {folder}{n}/temp <==\n{value}\n"
        for n, (kind, value) in enumerate(sensors.items())
    )
    state = phone_state(sections(thermal_zones=zones), "/data")
    assert state.warmest == Warmth(36.4, "skin-therm (thermal zone)")
    assert state.thermal_status is None


def test_a_status_set_by_hand_is_not_believed() -> None:
    state = phone_state(sections(thermalservice=THERMAL.replace("Override: false", "Override: true")), "/data")
    assert state.thermal_status is None
    assert "by hand" in state.unreadable["thermal_status"]


def test_throttling_at_status_0_is_seen() -> None:
    text = THERMAL.replace("mValue=0, mType=2", "mValue=4, mType=2")
    assert phone_state(sections(thermalservice=text), "/data").throttling == ("thermal-cpufreq-0",)


def test_a_box_without_a_battery_does_not_charge() -> None:
    state = phone_state(sections(battery=BATTERY.replace("present: true", "present: false")), "/data")
    assert (state.charging, state.battery_percent) == (False, None)


@pytest.mark.parametrize(("powered", "charging"), [("false", False), ("true", None)])
def test_a_status_of_unknown_leaves_the_cable(powered: str, charging: bool | None) -> None:
    text = BATTERY.replace("status: 2", "status: 1").replace("USB powered: true", f"USB powered: {powered}")
    assert phone_state(sections(battery=text), "/data").charging is charging


def test_limits_of_clocks_tell_whether_fixed_performance_did_anything() -> None:
    path = f"{CPU}/cpu0/cpufreq/scaling_max_freq"
    free, fixed, unknown = (
        phone_state(sections(clocks=f"==> {path} <==\n{khz}\n"), "/data") for khz in (2_800_000, 1_400_000, "")
    )
    assert limits_differ(free, fixed) is True
    assert limits_differ(free, free) is False
    assert limits_differ(free, unknown) is None


def test_free_space_is_that_of_the_folder() -> None:
    assert phone_state(sections(df=DF), "/data/local/tmp/hwbench").free_bytes == 50_000_000 * 1024
    assert phone_state(sections(df=DF.replace("/data", "/data/user/0")), "/data/local/tmp").free_bytes is not None
    two = DF + "/dev/block/dm-1 1000 500 500 50% /system\n"
    state = phone_state(sections(df=two), "/storage")
    assert state.free_bytes is None
    assert "/storage" in state.unreadable["df"]


def test_recorded_phones_have_a_state(published: Path) -> None:
    """What counts for the gate is never the warmest of all sensors where a chip is warmer."""
    folder = published / "phones"
    for thermal in (folder / "thermalservice").glob("*.txt"):
        for charge in (folder / "battery").glob("*.txt"):
            held = Sections({"thermalservice": thermal.read_bytes(), "battery": charge.read_bytes()}, {}, True)
            state = phone_state(held, "/data")
            assert state.warmest is None or state.warmest.celsius < 50
            assert not (state.battery_frozen and state.battery_percent is not None)


def test_nothing_at_all_is_a_state_of_nothing() -> None:
    state = phone_state(split(b"", TOKEN), "/data")
    assert (state.thermal_status, state.warmest, state.free_bytes, state.clocks) == (None, None, None, ())
    assert state.unreadable["df"] == "the output ends before it"


def test_damaged_readings_are_a_clean_error_or_a_value(published: Path) -> None:
    seed = int(os.environ.get("HWBENCH_SEED", "0")) or random.randrange(1 << 32)
    rng = random.Random(seed)
    outputs = published / "phones"
    properties = (outputs / "getprop" / "mock-pixel-8.txt").read_bytes()
    thermal = (outputs / "thermalservice" / "skia-pixel-tensor.txt").read_bytes()
    clocks = (outputs / "cpufreq" / "pixel-2-xl.txt").read_bytes()
    held = {"getprop": properties, "sysfs": clocks, "page_size": b"4096", "thermalservice": thermal, "clocks": clocks,
            "battery": BATTERY.encode(), "power_supply": SUPPLY.encode(), "df": DF.encode()}  # fmt: skip
    whole = printed(held)
    for number in range(300):
        damaged = split(mutate(whole, rng), TOKEN)
        try:
            phone_reading(damaged, salt="")
        except (DataError, DeviceError):
            pass
        except Exception as error:
            pytest.fail(f"HWBENCH_SEED={seed} number {number}: {error!r}")
        state = phone_state(damaged, "/data")
        assert state.battery_percent is None or 0 <= state.battery_percent <= 100, f"HWBENCH_SEED={seed}"


def test_a_script_that_is_not_there_is_a_clean_error() -> None:
    assert harness_script("state.sh").read_text().startswith("# What a phone is")
    with pytest.raises(DeviceError, match=r"lacks the phone script none\.sh"):
        harness_script("none.sh")


@pytest.mark.parametrize("script", sorted(HARNESS.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_clean_for_shellcheck(script: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    checked = subprocess.run(["shellcheck", "-s", "sh", script], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")
