// The passes whose times are no latencies: memory, and per-operator profiles.
#include <algorithm>

#include "launch.h"
#include "machine.h"

namespace hwbench {

namespace {

constexpr int kProfileWarmup = 5;

}  // namespace

void Launch::memory(const JobPlan& job) {
  auto prepared = open(job);
  if (prepared == nullptr) {
    return;
  }
  // Everything but the inputs goes, so that loading again starts from nothing.
  const auto inputs = std::move(prepared->inputs);
  prepared.reset();
  try {
    release_memory();
    const std::int64_t before = status_bytes("VmRSS").value_or(0);
    auto model = engine_->load(folder_ + "/" + job.model);
    for (std::size_t index = 0; index < inputs.size(); ++index) {
      model->feed(index, inputs[index].data());
    }
    if (!model->invoke() || !model->invoke()) {
      throw EngineError("the invoke failed");
    }
    const std::int64_t peak = status_bytes("VmHWM").value_or(0), after = status_bytes("VmRSS").value_or(0);
    results_.write({{"kind", "memory"},
                    {"job", job.id},
                    {"peak_bytes", std::max<std::int64_t>(peak - before, 0)},
                    {"resident_bytes", std::max<std::int64_t>(after - before, 0)}});
  } catch (const EngineError& error) {
    fail(job.id, "memory", error.what());
  }
}

void Launch::profile(const JobPlan& job) {
  const std::string path = checked_file(job);
  if (path.empty()) {
    return;
  }
  try {
    auto model = engine_->load_profiled(path);
    auto* profiled = model.get();
    Job loaded(job, std::move(model), 0, plan_.input_seed);
    for (int i = 0; i < kProfileWarmup; ++i) {
      loaded.invoke();
    }
    profiled->start();
    for (std::uint64_t i = 0; i < plan_.burst.invokes; ++i) {
      if (!loaded.invoke()) {
        throw EngineError("the invoke failed");
      }
    }
    Line ops = Line::array();
    for (const OpEvent& event : profiled->stop()) {
      ops.push_back({{"tag", event.tag},
                     {"type", event.kind},
                     {"start_us", event.start_us},
                     {"elapsed_us", event.elapsed_us},
                     {"node", event.node},
                     {"source", event.source}});
    }
    results_.write({{"kind", "ops"}, {"job", job.id}, {"invokes", plan_.burst.invokes}, {"ops", ops}});
  } catch (const EngineError& error) {
    fail(job.id, "profile", error.what());
  }
}

}  // namespace hwbench
