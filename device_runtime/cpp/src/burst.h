// The loaded jobs of a launch and one timed burst of a group of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engines/engine.h"
#include "plan.h"
#include "results.h"

namespace hwbench {

/// One loaded model with its inputs.
class Job {
 public:
  /// Loads the model, feeds it, invokes it once and takes the digests. Throws EngineError.
  Job(const JobPlan& plan, std::unique_ptr<Model> model, std::int64_t load_ns, std::uint64_t input_seed);

  void feed();
  bool invoke() { return model_->invoke(); }
  const std::vector<TensorSpec>& outputs() const { return model_->outputs(); }
  const void* output(std::size_t index) { return model_->output(index); }

  const JobPlan* plan;
  std::uint64_t rounds;
  std::int64_t load_ns;
  std::int64_t first_ns;
  std::vector<Line> digests;
  std::vector<std::vector<std::uint8_t>> inputs;

 private:
  std::unique_ptr<Model> model_;
};

/// Reads a buffer of a size, so that what was in the caches is evicted.
class Flush {
 public:
  explicit Flush(std::size_t bytes);
  void run() const;

 private:
  std::unique_ptr<std::uint64_t[], void (*)(void*)> words_;
  std::size_t count_;
};

/// Wall and thread CPU time of each timed invoke of one job.
struct Samples {
  Job* job;
  std::vector<std::int64_t> wall_ns;
  std::vector<std::int64_t> cpu_ns;
};

/// Microseconds of a plan in nanoseconds, without overflow.
std::int64_t nanoseconds(std::uint64_t us);

/// Untimed turns until the number and the time are reached; returns the jobs whose invoke failed, removed from `group`.
std::vector<Job*> warm(std::vector<Job*>& group, const Burst& limits, std::int64_t begin_ns);

/// Timed turns of the group. `flush` is run before each turn where it is given; `refeed` writes the inputs anew.
std::vector<Samples> measure(const std::vector<Job*>& group, const Burst& limits, const Flush* flush, bool refeed);

}  // namespace hwbench
