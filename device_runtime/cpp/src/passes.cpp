// The passes that take no latencies: memory, per-operator profiles, and outputs of given inputs.
#include <algorithm>

#include "launch.h"
#include "machine.h"
#include "numbers.h"

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
  const std::string path = checked_file(job.id, job.model, job.sha256);
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

void Launch::evaluate(const JobPlan& job) {
  const auto opened = open(job);
  if (opened == nullptr) {
    return;
  }
  const std::string path = checked_file(job.id, plan_.evaluation->inputs, plan_.evaluation->sha256);
  if (path.empty()) {
    return;
  }
  loaded(*opened);
  try {
    std::ifstream file(path, std::ios::binary);
    run_inputs(*opened, file);
  } catch (const EngineError& error) {
    fail(job.id, "evaluate", error.what());
  }
}

void Launch::run_inputs(Job& job, std::ifstream& file) {
  const Evaluation& wanted = *plan_.evaluation;
  if (job.inputs.size() != 1 || job.inputs.front().empty() || job.outputs().empty()) {
    throw EngineError("only models of one input and with an output are evaluated");
  }
  auto& input = job.inputs.front();
  file.seekg(0, std::ios::end);
  const auto bytes = static_cast<std::uint64_t>(std::max<std::streamoff>(file.tellg(), 0));
  const std::uint64_t there = bytes / input.size();
  if (bytes % input.size() != 0 || wanted.first > there || wanted.count > there - wanted.first) {
    throw EngineError("the file of inputs holds " + std::to_string(there) + " of " + std::to_string(input.size()) +
                      " bytes each");
  }
  file.seekg(static_cast<std::streamoff>(wanted.first * input.size()));
  for (std::uint64_t number = wanted.first; number < wanted.first + wanted.count; ++number) {
    check();
    if (!file.read(reinterpret_cast<char*>(input.data()), static_cast<std::streamsize>(input.size()))) {
      throw EngineError("the file of inputs cannot be read");
    }
    job.feed();
    if (!job.invoke()) {
      throw EngineError("the invoke failed");
    }
    const Largest found = find_largest(job.outputs().front(), job.output(0), wanted.top);
    results_.write({{"kind", "output"},
                    {"job", job.plan->id},
                    {"input", number},
                    {"places", found.places},
                    {"values", found.values}});
  }
}

}  // namespace hwbench
