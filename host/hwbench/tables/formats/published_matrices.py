"""Published matrices by the first 16 digits of their sha256: whose they are and under which licence."""

from __future__ import annotations

from hwbench.tables.formats.published import PUBLISHED, Published

_PREFIX = 16

_HELP = """
fbnet/latency/1080ti_1 e8dc124d658407e6
fbnet/latency/1080ti_32 74c5c9801b4e6b7d
fbnet/latency/1080ti_64 ec8e443e814c739d
fbnet/latency/essential_ph_1 0855ddb3f4fbb17e
fbnet/latency/eyeriss eaf78708634cdada
fbnet/latency/fpga f1f0542554cf205f
fbnet/latency/gold_6226 77a15ae6276ba8e5
fbnet/latency/gold_6240 b3f7f9e419b67d2f
fbnet/latency/pixel2 da0b0da71fc61952
fbnet/latency/pixel3 ccd89872782b2c4f
fbnet/latency/raspi4 51a9da87b02efb1a
fbnet/latency/samsung_a50 378f93b6a2785984
fbnet/latency/samsung_s7 82660d5aa1839480
fbnet/latency/silver_4114 908e18175a31ec45
fbnet/latency/silver_4210r e1732f783606639d
fbnet/latency/titan_rtx_64 066bd14333eb53ce
fbnet/latency/titanx_1 2ab7914e5effece2
fbnet/latency/titanx_32 667e020f5d3977d3
fbnet/latency/titanx_64 f2d09f8de4d6efbc
nasbench201/latency/1080ti_1 4028f52b2c2441da
nasbench201/latency/1080ti_256 435af0ccfab01f5d
nasbench201/latency/1080ti_32 affce4fcdcf6f286
nasbench201/latency/essential_ph_1 a97165c8669a216b
nasbench201/latency/eyeriss 6f1dd2f8c0442289
nasbench201/latency/fpga 6a0333c1476a3ab0
nasbench201/latency/gold_6226 6a00f63d14f67f80
nasbench201/latency/gold_6240 ac6dd41f183de69b
nasbench201/latency/pixel2 051845ddefc2bc13
nasbench201/latency/pixel3 cf1387da12e06b1d
nasbench201/latency/raspi4 2fae425c50bcaef7
nasbench201/latency/samsung_a50 0872cb4ec8ecc7ea
nasbench201/latency/samsung_s7 dbae32364b882022
nasbench201/latency/silver_4114 0cce9dc9ba62ad81
nasbench201/latency/silver_4210r f976049bda39abde
nasbench201/latency/titan_rtx_256 cff1fba40b1743d3
nasbench201/latency/titanx_1 3461cc686263bd0c
nasbench201/latency/titanx_256 04ddb80719515687
nasbench201/latency/titanx_32 9c4ca69131e34451
ofa/latency/2080ti_1 fd02a4aa46d7ab46
ofa/latency/2080ti_32 0a40f72137451914
ofa/latency/2080ti_64 6b5b8ae9a25aa5c7
ofa/latency/titan_rtx_1 b308b08490eaf5af
ofa/latency/titan_rtx_32 418618fe00b90d34
ofa/latency/titan_rtx_64 33bb74ee6430fb13
ofa/latency/titan_xp_1 ab157a674a7ba7ad
ofa/latency/titan_xp_32 8e362f53dd522e6c
ofa/latency/titan_xp_64 9b377dc3de2c4ff1
ofa/latency/v100_1 277d012e6c82cf20
ofa/latency/v100_32 41643776a003adeb
ofa/latency/v100_64 577f48672ed029b1
"""

_HAT = """
iwslt14deen_gpu_titanxp_all 96448ac6ab174e5f
wmt14ende_cpu_raspberrypi_all 28d7d0557b545cee
wmt14ende_cpu_xeon_all 78c0cef3a590b0ef
wmt14ende_gpu_titanxp_all 7ce39663e513a90a
wmt14enfr_cpu_raspberrypi_all 3e83a13c0b662afa
wmt14enfr_cpu_xeon_all b79b1719197294ac
wmt14enfr_gpu_titanxp_all 842136bae56cdbd4
wmt19ende_gpu_titanxp_all 04d84a44fc272709
"""

_MATRICES = {
    **{digest: ("HayeonLee/HELP", f"data/{path}.pt") for path, digest in map(str.split, _HELP.strip().splitlines())},
    **{
        digest: ("mit-han-lab/hardware-aware-transformers", f"latency_dataset/{path}.csv")
        for path, digest in map(str.split, _HAT.strip().splitlines())
    },
    "ecc911b8ffa51f8b": ("Ren-Research/OneProxy", "latency_data, joined to NAS-Bench-201"),
}


def known(sha256: str) -> Published | None:
    """What is known of a file of that hash, or None."""
    if sha256 in PUBLISHED:
        return PUBLISHED[sha256]
    if sha256[:_PREFIX] not in _MATRICES:
        return None
    repository, path = _MATRICES[sha256[:_PREFIX]]
    return Published(repository, path, sha256, path, "MIT")
