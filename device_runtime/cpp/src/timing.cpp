// The timing pass: rounds of visits, in a shuffle that the plan's seed decides.
#include <algorithm>
#include <cmath>

#include "launch.h"
#include "machine.h"

namespace hwbench {

namespace {

constexpr int kRedone = 3;

/// The same shuffle everywhere; std::shuffle's order is the library's choice.
template <typename T>
void shuffle(std::vector<T>& items, std::mt19937_64& order) {
  for (std::size_t i = items.size(); i > 1; --i) {
    std::swap(items[i - 1], items[order() % i]);
  }
}

}  // namespace

void Launch::time(const std::vector<std::unique_ptr<Job>>& jobs) {
  Job* anchor = nullptr;
  std::uint64_t rounds = 0;
  for (const auto& job : jobs) {
    anchor = anchor == nullptr && job->plan->anchor ? job.get() : anchor;
    rounds = std::max(rounds, job->rounds);
  }
  for (std::uint64_t round = 0; round < rounds; ++round) {
    std::vector<Job*> due;
    for (const auto& job : jobs) {
      if (job->rounds > round) {
        due.push_back(job.get());
      }
    }
    for (auto& group : groups(std::move(due))) {
      check();
      if (anchor != nullptr && wall_ns() - last_ns_ > nanoseconds(plan_.idle_us)) {
        rewarm(*anchor);
      }
      visit(std::move(group), round);
    }
  }
}

std::vector<std::vector<Job*>> Launch::groups(std::vector<Job*> jobs) {
  shuffle(jobs, order_);
  std::vector<std::vector<Job*>> dealt;
  std::vector<Job*> others;
  for (Job* job : jobs) {
    if (job->plan->anchor) {
      dealt.push_back({job});
    } else {
      others.push_back(job);
    }
  }
  const double wanted = static_cast<double>(others.size()) / static_cast<double>(plan_.interleave);
  const auto count = static_cast<std::size_t>(std::max(1.0, std::nearbyint(wanted)));
  for (std::size_t i = 0; i < count; ++i) {
    const auto first = others.begin() + static_cast<std::ptrdiff_t>(i * others.size() / count);
    const auto last = others.begin() + static_cast<std::ptrdiff_t>((i + 1) * others.size() / count);
    if (first != last) {
      dealt.emplace_back(first, last);
    }
  }
  shuffle(dealt, order_);
  return dealt;
}

void Launch::rewarm(Job& anchor) {
  const std::int64_t until = wall_ns() + nanoseconds(plan_.rewarm_us);
  while (wall_ns() < until) {
    anchor.invoke();
  }
}

bool Launch::off_mask(std::optional<int> core) const {
  return core && !plan_.cores.empty() && std::find(plan_.cores.begin(), plan_.cores.end(), *core) == plan_.cores.end();
}

void Launch::visit(std::vector<Job*> group, std::uint64_t round) {
  const bool anchor = group.front()->plan->anchor;
  // Anchors tell how fast the machine is, so nothing is flushed for them.
  const Flush* flush = anchor ? nullptr : flush_.get();
  const bool refeed = flush != nullptr || group.size() > 1;
  std::vector<Samples> samples;
  std::optional<int> before, after;
  std::int64_t begin = 0, start = 0;
  int redone = -1;
  do {
    if (++redone > 0) {
      pin(plan_.cores);
    }
    begin = wall_ns();
    for (Job* failed : warm(group, plan_.burst, begin)) {
      fail(failed->plan->id, "invoke", "the invoke failed");
      failed->rounds = 0;
    }
    if (group.empty()) {
      return;
    }
    before = current_core();
    start = wall_ns();
    samples = measure(group, plan_.burst, flush, refeed);
    last_ns_ = wall_ns();
    after = current_core();
  } while ((off_mask(before) || off_mask(after)) && redone < kRedone);
  const Line frequency = or_null(frequency_khz(after)), temperature = or_null(temperature_mc());
  for (const Samples& sample : samples) {
    results_.write({{"kind", "visit"},
                    {"job", sample.job->plan->id},
                    {"round", round},
                    {"start_ns", start - begin_ns_},
                    {"warmup_ns", (start - begin) / static_cast<std::int64_t>(group.size())},
                    {"wall_ns", sample.wall_ns},
                    {"cpu_ns", sample.cpu_ns},
                    {"core_before", or_null(before)},
                    {"core_after", or_null(after)},
                    {"redone", redone},
                    {"frequency_khz", frequency},
                    {"temperature_mc", temperature}});
  }
}

}  // namespace hwbench
