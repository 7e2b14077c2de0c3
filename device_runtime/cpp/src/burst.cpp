#include "burst.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <sys/mman.h>

#include "machine.h"
#include "numbers.h"

namespace hwbench {

namespace {

constexpr std::size_t kHugePage = 2u << 20;
constexpr std::size_t kWordsPerLine = 8;

}  // namespace

Job::Job(const JobPlan& from, std::unique_ptr<Model> model, std::int64_t loaded_in_ns, std::uint64_t input_seed)
    : plan(&from), rounds(from.rounds), load_ns(loaded_in_ns), model_(std::move(model)) {
  for (std::size_t index = 0; index < model_->inputs().size(); ++index) {
    inputs.push_back(seeded_input(model_->inputs()[index], input_seed + index));
  }
  feed();
  const std::int64_t begin = wall_ns();
  if (!invoke()) {
    throw EngineError("the first invoke failed");
  }
  first_ns = wall_ns() - begin;
  for (std::size_t index = 0; index < model_->outputs().size(); ++index) {
    const void* data = model_->output(index);
    digests.push_back(digest(model_->outputs()[index], data));
  }
}

void Job::feed() {
  for (std::size_t index = 0; index < inputs.size(); ++index) {
    model_->feed(index, inputs[index].data());
  }
}

Flush::Flush(std::size_t bytes)
    : words_(static_cast<std::uint64_t*>(std::aligned_alloc(kHugePage, (bytes / kHugePage + 1) * kHugePage)), std::free),
      count_(bytes / sizeof(std::uint64_t)) {
  if (words_ == nullptr) {
    throw std::bad_alloc();
  }
  madvise(words_.get(), (bytes / kHugePage + 1) * kHugePage, MADV_HUGEPAGE);
  std::fill_n(words_.get(), count_, 1);
}

void Flush::run() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count_; i += kWordsPerLine) {
    sum += words_[i];
  }
  // Keeps the reads although nobody wants the sum.
  volatile std::uint64_t sink = sum;
  (void)sink;
}

std::int64_t nanoseconds(std::uint64_t us) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / 1000 / 4096);
  return static_cast<std::int64_t>(std::min(us, kMost) * 1000);
}

std::vector<Job*> warm(std::vector<Job*>& group, const Burst& limits, std::int64_t begin_ns) {
  std::vector<Job*> failed;
  const std::int64_t until = begin_ns + nanoseconds(limits.warmup_us);
  for (std::uint64_t turns = 0; !group.empty() && (turns < limits.warmup_invokes || wall_ns() < until); ++turns) {
    for (auto job = group.begin(); job != group.end();) {
      if ((*job)->invoke()) {
        ++job;
      } else {
        failed.push_back(*job);
        job = group.erase(job);
      }
    }
  }
  return failed;
}

std::vector<Samples> measure(const std::vector<Job*>& group, const Burst& limits, const Flush* flush, bool refeed) {
  std::vector<Samples> samples;
  for (Job* job : group) {
    samples.push_back({job, {}, {}});
    samples.back().wall_ns.reserve(256);
    samples.back().cpu_ns.reserve(256);
  }
  const std::int64_t until = wall_ns() + nanoseconds(limits.duration_us) * static_cast<std::int64_t>(group.size());
  for (std::uint64_t taken = 0; taken < limits.invokes || (taken < limits.max_invokes && wall_ns() < until); ++taken) {
    if (flush != nullptr) {
      flush->run();
    }
    for (Samples& sample : samples) {
      if (refeed) {
        sample.job->feed();
      }
      const std::int64_t cpu_begin = thread_cpu_ns();
      const std::int64_t wall_begin = wall_ns();
      sample.job->invoke();
      const std::int64_t wall_end = wall_ns();
      const std::int64_t cpu_end = thread_cpu_ns();
      sample.wall_ns.push_back(wall_end - wall_begin);
      sample.cpu_ns.push_back(cpu_end - cpu_begin);
    }
  }
  return samples;
}

}  // namespace hwbench
