#include "selftest.h"

#include <algorithm>
#include <cstdio>

#include "burst.h"
#include "launch.h"
#include "machine.h"
#include "manifest.h"

namespace hwbench {

namespace {

constexpr std::uint64_t kInputSeed = 7;

/// Loads the engine's library and runs the small model that lies beside the runner.
Line try_engine(const EngineKind& kind, const Manifest& manifest) {
  Line report = {{"engine", kind.name}, {"delegates", kind.delegates}};
  const auto entry = manifest.engines.find(kind.name);
  if (entry == manifest.engines.end()) {
    report["error"] = "not in this bundle";
    return report;
  }
  report["engine_package"] = entry->second.package;
  report["engine_version"] = entry->second.version;
  report["engine_sha256"] = entry->second.sha256;
  report["profiler"] = true;
  try {
    const auto engine = open_engine(kind, manifest, kind.delegates.front(), 1);
    const char* suffix = std::string(kind.name) == "executorch" ? "pte" : "tflite";
    JobPlan plan{"selftest", "", "", 1, false};
    Job job(plan, engine->load(manifest.folder + "/selftest." + suffix), 0, kInputSeed);
    report["first_ns"] = job.first_ns;
    report["digests"] = job.digests;
  } catch (const EngineError& error) {
    report["error"] = error.what();
  }
  return report;
}

}  // namespace

int selftest(const std::vector<std::string>& names) {
  Line report = {{"runner", kRunner}, {"protocol", kProtocol}, {"emulated", emulated()}};
  const auto cores = pin({});
  report["cores"] = or_null(cores);
  const auto core = current_core();
  report["core"] = or_null(core);
  report["frequency_khz"] = or_null(frequency_khz(core));
  bool works = false;
  Line engines = Line::array();
  try {
    const Manifest manifest = read_manifest();
    for (const EngineKind& kind : engine_kinds()) {
      if (!names.empty() && std::find(names.begin(), names.end(), kind.name) == names.end()) {
        continue;
      }
      engines.push_back(try_engine(kind, manifest));
      works = works || !engines.back().contains("error");
    }
  } catch (const EngineError& error) {
    report["error"] = error.what();
  }
  report["engines"] = engines;
  std::puts(report.dump(-1, ' ', true, nlohmann::detail::error_handler_t::replace).c_str());
  return works ? kDone : kNoEngine;
}

}  // namespace hwbench
