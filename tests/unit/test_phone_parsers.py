"""What phones print, in short texts made up after real ones: one peculiarity a test."""

from __future__ import annotations

import contextlib
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.devices.linux import LinuxMachine
from hwbench.devices.phone.adb_listing import STATES, adb_devices
from hwbench.devices.phone.adb_messages import adb_failure
from hwbench.devices.phone.battery import battery
from hwbench.devices.phone.cpufreq import available_frequencies
from hwbench.devices.phone.cpuinfo import cpuinfo
from hwbench.devices.phone.df import filesystems, holding
from hwbench.devices.phone.getprop import identity, properties
from hwbench.devices.phone.kinds import PARSERS, read_output
from hwbench.devices.phone.process_status import allowed_cores
from hwbench.devices.phone.ps import processes
from hwbench.devices.phone.record import PhoneOutputs, phone_record, serial_hash
from hwbench.devices.phone.sysfs import SysfsFiles, sysfs_files
from hwbench.devices.phone.text import core_list, decode
from hwbench.devices.phone.thermal import thermal_state
from hwbench.devices.phone.thermal_zones import thermal_zones
from hwbench.devices.phone.topology import cpu_topology
from hwbench.devices.phone.uname import uname
from hwbench.errors import DataError
from hwbench.records import DeviceRecord
from tests.phone_recordings import MADE_UP_ZONES

PROPS = '[ro.product.model]: [A "b" $(c)]\n[ro.serialno]: [SECRET1]\n[ro.build.version.release]: [15]\n'
CPU = "/sys/devices/system/cpu/"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_encoding_and_line_end(encoding: str) -> None:
    assert decode("\r\n[a.b]: [c]\r\r\n[d]: [e]\r\n".encode(encoding)) == "\n[a.b]: [c]\n[d]: [e]\n"


def test_properties_with_awkward_values() -> None:
    text = "* daemon started\n[a]: []\n[b]: [x]y, z]\n[c]: [one\ntwo [2] and\nthree]\n[d]: [cut off"
    found = properties(text)
    assert found.values == {"a": "", "b": "x]y, z", "c": "one\ntwo [2] and\nthree"}
    assert found.cut == ("d",)
    assert properties(PROPS).values["ro.product.model"] == 'A "b" $(c)'
    with pytest.raises(DataError, match="getprop printed no property: 'error: device offline'"):
        properties("error: device offline\n")


def test_the_soc_comes_from_the_first_property_that_names_it() -> None:
    lines = {"ro.soc.model": "unknown", "ro.chipname": "", "ro.board.platform": "zuma", "ro.hardware": "husky"}
    who = identity(properties("".join(f"[{name}]: [{value}]\n" for name, value in lines.items())))
    assert (who.soc, who.soc_property, who.hardware) == ("zuma", "ro.board.platform", "husky")


def service(current: str, cooling: str = "", connection: str = "ThermalHAL AIDL 1  connected: yes") -> str:
    return (
        "Thermal Status: 0\nCached temperatures:\n\tTemperature{mValue=91.0, mType=0, mName=CPU0, mStatus=3}\n"
        f"HAL Ready: true\nHAL connection:\n\t{connection}\nCurrent temperatures from HAL:\n{current}\n"
        f"Current cooling devices from HAL:\n{cooling}\nTemperature static thresholds from HAL:\n"
        "\tTemperatureThreshold{mType=0, mName=CPU0, mHotThrottlingThresholds=[NaN, 99.0]}\n"
    )


def sensor(value: str, kind: int, name: str) -> str:
    return f"\tTemperature{{mValue={value}, mType={kind}, mName={name}, mStatus=0}}\n"


def test_cached_temperatures_are_not_current() -> None:
    found = thermal_state(service(sensor("40.5", 0, "CPU0")))
    assert found.warmest_c("cpu") == 40.5
    assert found.cached[0].celsius == 91.0
    assert not found.throttled


def test_only_temperatures_are_in_degrees() -> None:
    values = sensor("4.384", 6, "vbat") + sensor("11900.0", 7, "ocp") + sensor("15.0", 8, "soc") + sensor("9", -1, "d")
    found = thermal_state(service(values + sensor("41200", 3, "skin") + sensor("3.6E1", 9, "TPU")))
    assert [t.celsius for t in found.temperatures] == [None, None, None, None, 41.2, 36.0]
    assert [t.unit for t in found.temperatures[:4]] == ["voltage", "current", "percent", "unknown"]


@pytest.mark.parametrize("value", ["NaN", "-3.4028235E38", "0.0", "-99.9", "Infinity", "", "1e999"])
def test_a_sensor_that_shows_nothing(value: str) -> None:
    found = thermal_state(service(sensor(value, 2, "SUBBAT") + sensor("-5.5", 2, "BAT")))
    assert found.warmest_c("battery") == -5.5


def test_samsungs_shifted_types_are_told_by_name() -> None:
    shifted = sensor("50.0", 1, "AP") + sensor("31.0", 3, "BAT") + sensor("33.0", 4, "LRB") + sensor("60.0", 2, "other")
    found = thermal_state(service(shifted, connection="Sdhms connected: yes"))
    assert [t.kind for t in found.temperatures] == ["cpu", "battery", "skin", "gpu"]


def test_throttled_at_status_0() -> None:
    def cooling(level: int, kind: int) -> str:
        return service(sensor("35.0", 3, "SKIN"), f"\tCoolingDevice{{mValue={level}, mType={kind}, mName=cpufreq-0}}\n")

    assert thermal_state(cooling(2, 2)).throttled
    assert not thermal_state(cooling(0, 2)).throttled
    assert not thermal_state(cooling(5, 0)).throttled  # A fan.


def test_records_over_several_lines_and_cut_ones() -> None:
    found = thermal_state(
        service("Temperature{mValue=41.0,\n  mType=0,\n mName=big\n core, mStatus=0}\nTemperature{mV")
    )
    assert found.temperatures[0].name == "big core"
    assert found.cut
    with pytest.raises(DataError, match="neither a status nor a temperature"):
        thermal_state("Can't find service: thermalservice\n")


def test_a_battery_that_was_unplugged_by_hand_is_not_believed() -> None:
    text = "Current Battery Service state:\n  AC powered: false\n  level: 8\n  voltage: 4100\n  temperature: 281\n"
    assert battery(text).temperature_c == 28.1
    faked = battery(text.replace("state:\n", "state:\n  (UPDATES STOPPED -- use 'reset' to restart)\n"))
    assert (faked.temperature_c, faked.temperature_tenths, faked.powered) == (None, 281, None)
    assert battery(text + "  Capacity level: 3\n  temperature: 999\nlog level:72, temperature:345\n").level_percent == 8


SERIALS = ["0123", " 0123", "adb-XX-YY (2)._adb-tls-connect._tcp", "10.0.0.2:5555", "my device 2", "????????????"]


@pytest.mark.parametrize("serial", SERIALS)
@pytest.mark.parametrize("state", STATES)
def test_every_state_and_serial(serial: str, state: str) -> None:
    short, long = f"{serial}\t{state}", f"{serial:22} {state} usb:1-2 model:ALP AL00 transport_id:7"
    for row in (short, long):
        (found,) = adb_devices(f"* daemon started successfully\nList of devices attached \r\n{row}\r\n\r\n")
        assert (found.serial, found.state) == (serial, state)
    assert (found.usb, found.model, found.transport_id) == ("1-2", "ALP AL00", 7)


def test_listings_that_are_none() -> None:
    assert adb_devices("List of devices attached\n\n") == ()
    with pytest.raises(DataError, match="not a listing"):
        adb_devices("error: device offline")
    with pytest.raises(DataError, match="no state in the row"):
        adb_devices("List of devices attached\n0123 levitating\n")


@pytest.mark.parametrize(
    ("text", "kind"),
    [("adb: device 'ab c' not found", "not_found"), ("error: device offline", "offline"),
     ("* cannot start server\nerror: cannot connect to daemon", "server_unreachable"),
     ("adb: error: failed to copy 'a' to 'b': remote write failed: Broken pipe", "connection_lost"),
     ("adb: error: failed to copy 'a' to 'b': remote No space left on device", "no_space")],
)  # fmt: skip
def test_failures_of_adb(text: str, kind: str) -> None:
    assert adb_failure(text).kind == kind


def test_cores_that_are_offline_and_capacities() -> None:
    files = {CPU + "possible": "0-7", CPU + "present": "0-7", CPU + "online": "0-5"}
    files |= {CPU + f"cpu{core}/cpu_capacity": str(1024 if core == 7 else 300) for core in range(8)}
    found = cpu_topology(SysfsFiles(files, {}))
    assert found.offline == (6, 7)
    assert [(c.cores, c.capacity, c.online) for c in found.clusters] == [
        (tuple(range(7)), 300, tuple(range(6))), ((7,), 1024, ()),
    ]  # fmt: skip


def test_clusters_from_parts_alone_and_one_part_for_all() -> None:
    def text(*parts: int) -> str:
        return "".join(
            f"processor\t: {core}\nCPU implementer\t: 0x41\nCPU part\t: {part:#x}\n\n"
            for core, part in enumerate(parts)
        )

    found = cpu_topology(SysfsFiles({}, {}), cpuinfo(text(0xD05, 0xD05, 0xD41)))
    assert [(c.core_name, c.cores) for c in found.clusters] == [("Cortex-A55", (0, 1)), ("Cortex-A78", (2,))]
    old = cpuinfo("processor : 0\n\nprocessor : 1\n\nCPU implementer : 0x41\nCPU part : 0xc07\n\nHardware : X\n")
    assert old.one_part_for_all
    assert cpu_topology(SysfsFiles({}, {}), old).unplaced == (0, 1)
    with pytest.raises(DataError, match="which cores there are"):
        cpu_topology(SysfsFiles({}, {}))


def test_refused_files_are_named() -> None:
    files = sysfs_files(f"==> {CPU}online <==\n0-3\nhead: {CPU}cpu0/cpufreq/cpuinfo_cur_freq: Permission denied\n")
    assert files.contents == {CPU + "online": "0-3"}
    assert files.unreadable == {CPU + "cpu0/cpufreq/cpuinfo_cur_freq": "Permission denied"}
    with pytest.raises(DataError, match="not a list of clock frequencies"):
        available_frequencies("300000 <unsupported>")


def test_thermal_zones_in_every_unit() -> None:
    assert [zone.celsius for zone in thermal_zones(sysfs_files(MADE_UP_ZONES))] == [41.2, 36.0, 28.5, None, None]
    with pytest.raises(DataError, match="Permission denied"):
        thermal_zones(sysfs_files("cat: /sys/class/thermal/thermal_zone0/temp: Permission denied\n"))


def test_space_processes_kernels_and_allowed_cores() -> None:
    toybox = "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/block/dm-5 100 60 40 60% /data\n"
    mount = holding(filesystems(toybox), "/data/local/tmp")
    assert mount is not None
    assert mount.free_bytes == 40 * 1024
    assert holding(filesystems(toybox), "/database") is None
    assert filesystems("/data: 2048K total, 1024K used, 1024K available (block size 4096)")[0].free_bytes == 1 << 20
    assert uname("4.14.117-perf\n").release == "4.14.117-perf"
    assert processes("shell 9 1 10 20 0 0 S a b c\n")[0].name == "a b c"
    assert uname("Linux localhost 6.1.1 #1 SMP aarch64 Toybox").machine == "aarch64"
    assert allowed_cores("Cpus_allowed:\t9f\n") == (0, 1, 2, 3, 4, 7)
    assert allowed_cores("Cpus_allowed:\t1\nCpus_allowed_list:\t0-1,4\n") == (0, 1, 4)
    with pytest.raises(DataError, match="knows no output of the kind 'tea'"):
        read_output("tea", "")


@given(st.sets(st.integers(0, 1023), min_size=1), st.sampled_from([",", " ", "\n"]))
def test_core_lists_round_trip(cores: set[int], between: str) -> None:
    assert core_list(between.join(map(str, cores))) == tuple(sorted(cores))


@pytest.mark.parametrize("text", ["3-1", "0-99999999", "a", "0--1", "-1", "1024", "٣"])
def test_what_is_no_core_list(text: str) -> None:
    with pytest.raises(DataError, match="not a list of cores"):
        core_list(text)


@pytest.mark.parametrize(
    "piece", ["\r", " ", "[a]: [", "Temperature{", "0-1023,", "device ", "x :" + 3000 * " " + "y\n"]
)
@pytest.mark.parametrize("kind", PARSERS)
def test_long_runs_take_no_time(kind: str, piece: str) -> None:
    begin = time.process_time()
    with contextlib.suppress(DataError):
        PARSERS[kind](piece * (200_000 // len(piece)))
    assert time.process_time() - begin < 1


def test_a_record_says_what_it_could_not_read_and_keeps_no_serial() -> None:
    outputs = PhoneOutputs(
        PROPS, page_size="16384\n", meminfo="nothing", boot_id="error: device 'SECRET1' not found",
        refused={"sysfs": "Permission denied"},
    )  # fmt: skip
    record = phone_record(outputs, salt="pepper")
    assert record.phone is not None
    assert record.phone.serial_hash == serial_hash("SECRET1", "pepper") != serial_hash("SECRET1", "salt")
    assert (record.page_bytes, record.memory_bytes, record.system) == (16384, 0, "Android 15")
    assert record.unreadable["sysfs"] == "Permission denied"
    assert record.unreadable["uname"] == "not asked"
    assert "does not say how much memory" in record.unreadable["meminfo"]
    assert record.boot_id is None
    assert "'(serial)' not found" in record.unreadable["boot_id"]
    assert "which cores" in record.unreadable["clusters"]
    written = msgspec.json.encode(record)
    assert b"SECRET1" not in written
    assert msgspec.json.decode(written, type=DeviceRecord) == record


def test_records_of_other_machines_stay_as_they_were() -> None:
    record = LinuxMachine().record("local")
    written = msgspec.json.encode(record)
    assert b'"phone"' not in written
    assert msgspec.json.decode(written, type=DeviceRecord) == record
