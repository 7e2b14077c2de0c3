"""Published files that hwbench has met: where they lie in public, under which licence. No data, only where it is."""

from __future__ import annotations

import msgspec


class Published(msgspec.Struct, frozen=True):
    """`local` is where a copy lies below the data folder; `licence` None: its repository states none."""

    repository: str
    path: str
    sha256: str
    local: str
    licence: str | None


_HAN = ("han-cai/files", "luts/han-cai_files", None)
_PROXYLESS = ("mit-han-lab/proxylessnas", "luts/mit-han-lab_proxylessnas", "MIT")
_JETSON = ("UoS-EEC/DynamicOFA", "luts/UoS-EEC_DynamicOFA", None)
_TFNAS = ("AberHu/TF-NAS", "luts/AberHu_TF-NAS", "MIT")
_HELP = ("HayeonLee/HELP", "help", "MIT")
_ONE_PROXY = ("Ren-Research/OneProxy", "oneproxy", "MIT")
_CELLS = ("v-tao/nats-bench-landscape", "nb201", None)
_NETWORKS = "ofa/ofa_specialized"
_CELL_LATENCIES = "data/nasbench201/latency"

_FILES = (
    (_HAN, "proxylessnas/mobile_trim.yaml", "087e855ea77f9b257e72f3637333a3e0938f6df77f579520f16d057ac45380aa"),
    (_HAN, "ofa/note10/160_lookup_table.yaml", "a2671a45e9400542679ed03de946b45d6a35010f9ab21834af3e7ba8341d36d1"),
    (_HAN, "ofa/note10/192_lookup_table.yaml", "0ff5ca0649e56ad34a42d6a8a6f20adb5121c8d12d135299397b310472db79e2"),
    (_HAN, "ofa/note10/224_lookup_table.yaml", "c13a9bcb3f4becae844bce4897129c4e42975984c1029cbd5acb48c970136530"),
    (_HAN, f"{_NETWORKS}/note10_lat-30ms_top1-78.4_finetune-75/net.config",
     "30a922fd15606ce75baf6b5197972b55bf4550963c9540773e934db947602428"),
    (_HAN, f"{_NETWORKS}/pixel1_lat-79ms_top1-78.7_finetune-75/net.config",
     "8ba7314da776a1c0a06003ee0efd1da2884db187849e9df04bfd9fbcc0a1a124"),
    (_JETSON, "jetson_cpu/160_lookup_table.json", "5f9f405ac46d6cc3157ecb798e44795b402a1e26df3fbbe8d036eabcf2c708cc"),
    (_JETSON, "jetson_cpu/192_lookup_table.json", "4f73c27aaf33949a088b55e64e78b04735564780e2b9aa4d69b34320d7dd38fc"),
    (_JETSON, "jetson_cpu/224_lookup_table.json", "abd65341a394beb7eb0e87f8c24b31ba613d49bdd2e1cedd92d62e8874ae3a82"),
    (_PROXYLESS, "proxylessnas/proxyless_mobile.config",
     "eacb4259c46d97e8d47cd7920efe95b99e3004f3e97902c9b3ba80b2a414d8a6"),
    (_PROXYLESS, "proxylessnas/proxyless_cpu.config",
     "ba47cbd51bcd85ef5963e9098c44bf14b5a606e9dd15e5a3dba7cf4915ddded0"),
    (_PROXYLESS, "proxylessnas/proxyless_gpu.config",
     "e0bb0cd9166c4e713464b0373ac06af422d3e10560c9797286418f5f6fe6f3af"),
    (_PROXYLESS, "proxylessnas/proxyless_mobile_14.config",
     "1055c668e8194fd899c307e55f620b2cf5e45050d5b35ab887f852ad13043417"),
    (("google-research/google-research", "luts/google-research_tunas", "Apache-2.0"),
     "proxylessnas_search_kernel.json", "9b41e4a020332efc7cf3071558b5ec95407c4c6bd33bfff48d6b76883f22921b"),
    (("google-research/google-research", "luts/google-research_tunas", "Apache-2.0"),
     "proxylessnas_search_decoded.json", "e9212cf6ca5ef44132727cbbcee606c3776dfe9687691af8d1cda16c9b765ecc"),
    (("dstamoulis/single-path-nas", "luts/dstamoulis_single-path-nas", "Apache-2.0"),
     "nas-search/pixel1_runtime_model.json", "59e0d2d1aea3a09b3e6d6fa9f3a0adb567b416e92cb093c769f557bea23b98f5"),
    (("PaddlePaddle/PaddleDetection", "luts/PaddlePaddle_PaddleDetection", "Apache-2.0"),
     "slim/nas/latency_855.txt", "fb3f0fa04f9960f0983979bec9603f870fc7d5603f465fdf0adaf3896b84ecaf"),
    (_TFNAS, "latency_pkl/latency_cpu.pkl", "dfb5363d71a8421a81499c9191431305968fb1d2e1467a6fdd41153d6153ca23"),
    (_TFNAS, "latency_pkl/latency_gpu.pkl", "743b2d77331a7741eb5c4ff6b3728394e2145407c05bf69f0e0f614193ed2fd3"),
    (_ONE_PROXY, "latency.csv", "ecc911b8ffa51f8b99310f961cd7017397bbac8d646fd8437c07d9b1d4e02f57"),
    (_CELLS, "accuracy.csv", "f537adafa070415ed465be76e6e9fbc1704c89f4e7b3d454a9481d21c2b19672"),
    (_HELP, "data/nasbench201/arch_generated_by_metad2a.txt",
     "7681da3acbda6dbdb8301e3c72537d9edcfa1f22ba4f7e3e903686ff0ac6648c"),
    (_HELP, f"{_CELL_LATENCIES}/pixel3.pt", "cf1387da12e06b1d4541ce85f3ca4869d551084e09daf4acf024b6e21a80d465"),
    (_HELP, f"{_CELL_LATENCIES}/raspi4.pt", "2fae425c50bcaef7aacc5391244cd0af98bfc7fba689a8741e461cb18192f57c"),
    (_HELP, f"{_CELL_LATENCIES}/fpga.pt", "6a0333c1476a3ab039d8c39e5d42ac99efe9e7f3ff521289569013fa84233b28"),
    (_HELP, f"{_CELL_LATENCIES}/eyeriss.pt", "6f1dd2f8c0442289a09ab78e63e49bde96489f6d455cc33d5fa5aed37edb5d03"),
    (_HELP, f"{_CELL_LATENCIES}/1080ti_1.pt", "4028f52b2c2441da126932e3827ae11a7f76d39818c4374c1b9ab9df236e23f4"),
    (_HELP, f"{_CELL_LATENCIES}/pixel2.pt", "051845ddefc2bc138f21e2217f6c7827fe280c78375cbfb4b5bd252a888cb950"),
)  # fmt: skip

# Where the path in the repository is not the one below the data folder.
_JETSON_FOLDER = "optimal_search/latency/checkpoints/latency_table@jetson"
_MOVED = {
    **{f"jetson_cpu/{resolution}_lookup_table.json": f"{_JETSON_FOLDER}/{resolution}_lookup_table.json"
       for resolution in (160, 192, 224)},
    "proxylessnas_search_kernel.json": "tunas/cost_model_data.py (its kernel and bias, decoded)",
    "proxylessnas_search_decoded.json": "tunas/cost_model_data.py (its kernel and bias, decoded, by layer)",
    "latency.csv": "latency_data/*.pickle (12 targets, as one CSV with NAS-Bench-201's indices)",
    "accuracy.csv": "nats_bench.csv (test accuracies by index, as one CSV)",
}  # fmt: skip

PUBLISHED: dict[str, Published] = {
    digest: Published(repository, _MOVED.get(path, path), digest, f"{folder}/{path}", licence)
    for (repository, folder, licence), path, digest in _FILES
}


def published(ending: str) -> Published:
    """The file whose local path ends so. It must be one of the above."""
    return next(found for found in PUBLISHED.values() if found.local.endswith(ending))
