"""Values of recorded outputs, each read by a person in the text; by file name."""

from __future__ import annotations

from typing import NamedTuple


class Thermal(NamedTuple):
    status: int | None
    throttled: bool
    cpu_c: float | None
    gpu_c: float | None
    skin_c: float | None
    battery_c: float | None
    sensors: int


class Charge(NamedTuple):
    percent: float | None
    celsius: float | None
    millivolt: int | None
    status: str | None
    powered: bool | None
    stopped: bool


class Phone(NamedTuple):
    manufacturer: str | None
    model: str
    soc: str
    board: str | None
    android: str
    sdk: int
    patch: str | None
    abis: tuple[str, ...]


ARM64 = ("arm64-v8a", "armeabi-v7a", "armeabi")

THERMAL = {
    "bort-emulator": Thermal(0, False, None, None, 30.8, None, 1),
    "bort-pixel-4silver-4gold": Thermal(0, False, 32.3, 31.4, 28.348, 25.9, 13),
    "bort-qcom-8core-hidl-threshold": Thermal(2, True, 48.2, 45.9, 44.637, 43.8, 11),
    "bort-qcom-nsp-6core": Thermal(0, False, 36.2, 34.3, 33.136, 29.0, 14),
    "bort-samsung-aidl1": Thermal(0, False, 34.6, None, 28.2, 25.2, 6),
    "nvidia-shield-tv-2019": Thermal(0, False, None, None, None, None, 0),
    "qcom-hal-not-ready": Thermal(0, False, None, None, None, None, 0),
    "samsung-aidl1-status1-truncated": Thermal(1, True, None, None, None, None, 0),
    "samsung-galaxy-a24-fragment": Thermal(2, True, 40.1, None, 35.2, 33.3, 4),
    "samsung-galaxy-s24plus-combined": Thermal(0, False, 53.4, None, 40.0, 38.6, 5),
    "skia-pixel-tensor": Thermal(0, False, 27.0, 26.0, 24.833, 22.1, 42),
    "xiaomi-13t-pro-android16": Thermal(None, False, 57.9, None, 34.351, None, 2),
}

BATTERY = {
    "comment-level15": Charge(15, 34.0, 4359, "charging", True, False),
    "pixel-android15-limit80": Charge(80, 18.0, 4200, "not charging", True, False),
    "pixel-c-dragon-android7": Charge(19, 27.5, 3764, "charging", True, False),
    "redmi-note14-hyperos3": Charge(80, 36.4, 4228, "charging", True, False),
    "samsung-2016-mbootcompleted": Charge(84, 32.6, 4063, "charging", True, False),
    "samsung-s24": Charge(75, 35.7, 4156, "charging", True, False),
    "samsung-zebrunner-full": Charge(100, 30.9, 4312, "full", True, False),
    "skia-0": Charge(9, None, 4248, "charging", True, False),
    "tvbox-collapsed-discharge": Charge(90, None, 13, "not charging", False, False),
    "updates-stopped-emulator-truncated": Charge(None, None, None, "charging", None, True),
    "updates-stopped-usb-remains": Charge(None, None, None, None, None, True),
}

PHONES = {
    "automacao": Phone("motorola", "motorola edge 20", "SM7325", "berlin", "13", 33, "2023-09-01", ARM64),
    "lge-timelm": Phone("LGE", "LM-V600", "kona", "kona", "11", 30, "2021-07-01", ARM64),
    "mock-pixel-8": Phone("Google", "Pixel 8", "zuma", "shiba", "14", 34, "2024-01-05", ("arm64-v8a",)),
    "xiaomi-fleur": Phone("Xiaomi", "miel", "MT6781", "miel", "12", 32, "2023-01-05", ARM64),
    "mock-huawei-mate-20": Phone("HUAWEI", "HMA-L29", "kirin980", "HMA", "9", 28, "2018-09-01", ARM64),
    "mock-galaxy-s9-global": Phone(
        "samsung", "SM-G960F", "exynos9810", "universal9810", "8.0.0", 26, "2018-03-01", ARM64
    ),
    "mock-leagoo-t5c": Phone(
        "LEAGOO", "T5c", "sp9853i", "k500_lgt_511_vmm", "7.0", 24, "2017-12-05",
        ("x86_64", "x86", "armeabi-v7a", "armeabi", "arm64-v8a"),
    ),
    "xiaomi-peridot": Phone("Xiaomi", "24069PC21I", "SM8635", "pineapple", "15", 35, "2025-04-05", ("arm64-v8a",)),
    "mock-zenfone-2": Phone(
        "asus", "ASUS_Z00AD", "moorefield", "moorefield", "6.0.1", 23, "2017-05-01", ("x86", "armeabi-v7a", "armeabi")
    ),
    "emulator-x86_64-api23": Phone(
        None, "Android SDK built for x86_64", "ranchu", None, "6.0", 23, "2015-10-01", ("x86_64", "x86")
    ),
    "huawei-g700": Phone(
        "Xiaomi", "G700-U20", "MT6589", None, "4.4.2", 19, "2016-08-01", ("armeabi-v7a", "armeabi")
    ),
}  # fmt: skip

# Core counts and kHz of each cluster, in order of the cores; then the cores that were offline.
CLUSTERS: dict[str, tuple[tuple[tuple[int, int | None], ...], str]] = {
    "galaxy-a8-2018": (((6, 1586000), (2, 2184000)), ""),
    "galaxy-j7-prime": (((4, 1586000), (4, 1586000)), ""),
    "galaxy-s5-us": (((4, 2457600),), ""),
    "galaxy-s7-global": (((4, 1586000), (4, 2600000)), "6-7"),
    "galaxy-s9-us": (((4, 1766400), (4, 2803200)), ""),
    "huawei-mate-20": (((4, 1805000), (2, 1901000), (2, 2600000)), ""),
    "huawei-p20-pro": (((4, 1844000), (4, 2362000)), ""),
    "iconia-one-10": (((4, 1300000),), "2-3"),
    "meizu-pro-6": (((4, 2002000), (1, None)), "0-3,5-7,9"),
    "meizu-pro-7-plus": (((4, 1898000), (4, 2197000), (2, 2600000)), "5-7,9"),
    "moto-g-gen2": (((4, 1190400),), ""),
    "oppo-r15": (((4, 1989000), (4, 1989000)), ""),
    "pixel-2-xl": (((4, 1900800), (4, 2457600)), ""),
    "pixel-xl": (((2, 1593600), (2, 2150400)), ""),
    "utillinux-armv7": (((2, 1700000),), ""),
    "xperia-c4-dual": (((8, 1690000),), "1-7"),
    "zenfone-c": (((4, 1200000),), ""),
}

# Cores by number, and how many of each part stand side by side.
CORES = {
    "hrw-tensor-g1": "0-7: 4 Cortex-A55, 2 Cortex-A76, 2 Cortex-X1",
    "hrw-exynos-2400": "0-9: 4 Cortex-A520, 5 Cortex-A720, 1 Cortex-X4",
    "hrw-snapdragon-8-gen2": "0-7: 3 Cortex-A510, 2 Cortex-A715, 2 Cortex-A710, 1 Cortex-X3",
    "galaxy-s7-global": "0-5: 4 Cortex-A53, 2 Exynos M1/M2",
    "oppo-r15": "0-7: 4 Cortex-A53, 4 Cortex-A73",
    "hrw-raspberry-pi5": "0-3: 4 Cortex-A76",
    "pixel-2-xl": "0-7: 4 Kryo 2xx Silver, 4 Kryo 2xx Gold",
    "meizu-pro-6": "4-6: 3 Cortex-A53",
    "nexus-s": "0-0: 1 Cortex-A8",
}

# Serial and state of each row, or the kind of failure.
ADB: dict[str, tuple[tuple[str, str], ...] | str] = {
    "devices-daemon-start-noise": "no_devices",
    "devices-emulator-offline": (("emulator-5554", "offline"),),
    "devices-l-2012-path-second": (("0" * 16, "device"), ("0" * 16, "device")),
    "devices-l-emulator-offline-windows": (("emulator-5554", "offline"), ("0" * 8, "device")),
    "devices-l-huawei-states": (("0" * 16, "unauthorized"), ("0" * 16, "device")),
    "devices-l-leading-space-serial": ((" " + "0" * 14, "device"),),
    "devices-l-tcp-offline": (("000.00.000.000:41012", "offline"),),
    "devices-l-wifi-mido": (("192.168.0.3:5555", "device"),),
    "devices-no-permissions-old": (("?" * 12, "no permissions"),),
    "devices-no-permissions-orbic": (("0" * 8, "no permissions"),),
    "devices-no-permissions-truncated": (("0" * 8, "no permissions"),),
    "devices-tcp-unauthorized": (("10.10.176.186:7401", "unauthorized"),),
    "error-closed": "connection_lost",
    "install-unauthorized": "unauthorized",
    "insufficient-permissions": "no_permissions",
    "more-than-one-windows": "more_than_one",
    "more-than-one": "more_than_one",
    "protocol-fault-status": "protocol_fault",
    "protocol-fault-sync": "protocol_fault",
    "shell-version-mismatch-unauthorized": "unauthorized",
    "sideload-closed": "connection_lost",
    "sideload-offline": "offline",
    "usb-permission-failure": "no_permissions",
}

# MiB in all and available, "about" where the kernel does not say.
MEMORY = {"asus-tf201-hc": (984, None), "goadb-0": (23236, 16716), "goadb-4g": (3595, 2191)}

# Free GiB where models are pushed to.
FREE = {"android6-mtk": 4.6, "xiaomi-android9": 76.0, "htc-aafm-toolbox": 8.0, "asus-tf201-hc": 55.0}

KERNELS = {
    "hrw-exynos-2400": ("6.1.43-android14-11-abS926BXXU1AXCA", "aarch64"),
    "asus-z00a": ("3.10.20-x86_64_moor-265462-gfd33dd4", "x86_64"),
    "redmi-note7pro-32bit-user": (None, "armv8l"),
    "goadb-procversion-2": ("3.10.72+", None),
}
