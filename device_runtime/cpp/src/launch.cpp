#include "launch.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <sys/resource.h>
#include <unistd.h>

#include "machine.h"
#include "manifest.h"

namespace hwbench {

const char* const kRunner = "native-1";

namespace {

constexpr int kRedone = 3;
constexpr int kProfileWarmup = 5;
constexpr std::size_t kMostMessage = 500;

volatile std::sig_atomic_t stopping = 0;

void stop(int number) { stopping = number; }

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = stop;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  // The shell that started the runner may go away; the runner stays.
  action.sa_handler = SIG_IGN;
  sigaction(SIGHUP, &action, nullptr);
  sigaction(SIGPIPE, &action, nullptr);
}

/// One line of a message from an engine.
std::string one_line(const std::string& text) {
  std::string line;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  return line.substr(0, kMostMessage);
}

template <typename T>
Line or_null(const std::optional<T>& value) {
  return value ? Line(*value) : Line(nullptr);
}

/// The same shuffle everywhere; std::shuffle's order is the library's choice.
template <typename T>
void shuffle(std::vector<T>& items, std::mt19937_64& order) {
  for (std::size_t i = items.size(); i > 1; --i) {
    std::swap(items[i - 1], items[order() % i]);
  }
}

void write_usage(Results& results) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  results.write({{"kind", "usage"},
                 {"cpu_s", seconds(usage.ru_utime) + seconds(usage.ru_stime)},
                 {"voluntary_switches", usage.ru_nvcsw},
                 {"involuntary_switches", usage.ru_nivcsw}});
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

int say(int code, const std::string& message) {
  std::fprintf(stderr, "hwbench runner: %s\n", one_line(message).c_str());
  return code;
}

}  // namespace

Launch::Launch(const Plan& plan, std::string folder, Results& results, Heartbeat& heartbeat)
    : plan_(plan), folder_(std::move(folder)), results_(results), heartbeat_(heartbeat), order_(plan.seed),
      begin_ns_(wall_ns()), last_ns_(begin_ns_) {}

std::string Launch::run() {
  try {
    // XNNPACK chooses kernels by the core it is loaded on, so pinning comes first.
    const auto cores = pin(plan_.cores);
    const Manifest manifest = read_manifest();
    engine_ = open_engine(*find_engine(plan_.engine), manifest, plan_.delegate, plan_.threads);
    const EngineLibrary& library = manifest.engines.at(plan_.engine);
    results_.write({{"kind", "launch"}, {"protocol", kProtocol}, {"runner", kRunner}, {"launch", plan_.launch},
                    {"engine", plan_.engine}, {"engine_package", library.package}, {"engine_version", library.version},
                    {"engine_sha256", library.sha256}, {"delegate", plan_.delegate}, {"threads", plan_.threads},
                    {"cores", or_null(cores)}, {"emulated", emulated()}, {"pid", getpid()}, {"unix_ns", unix_ns()}});
    if (plan_.flush_bytes > 0) {
      flush_ = std::make_unique<Flush>(plan_.flush_bytes);
    }
    if (plan_.pass == Pass::Time) {
      time(load());
      return "complete";
    }
    for (const JobPlan& job : plan_.jobs) {
      plan_.pass == Pass::Memory ? memory(job) : profile(job);
    }
    return "complete";
  } catch (const Stop& reason) {
    return reason.status;
  }
}

void Launch::check() {
  heartbeat_.beat();
  if (stopping != 0) {
    throw Stop{stopping == SIGTERM ? "terminated" : "interrupted"};
  }
  if (static_cast<double>(wall_ns() - begin_ns_) > plan_.deadline_s * 1e9) {
    throw Stop{"deadline"};
  }
  if (plan_.parent_pid != 0 && getppid() != plan_.parent_pid) {
    throw Stop{"orphan"};
  }
}

void Launch::fail(const std::string& job, const char* stage, const std::string& message) {
  results_.write({{"kind", "failure"}, {"job", job}, {"stage", stage}, {"message", one_line(message)}});
}

std::string Launch::checked_file(const JobPlan& job) {
  check();
  const std::string path = folder_ + "/" + job.model;
  const std::string found = file_sha256(path);
  if (found.empty()) {
    fail(job.id, "read", std::strerror(errno));
    return "";
  }
  if (found != job.sha256) {
    fail(job.id, "hash", "the file has sha256 " + found + ", the plan says " + job.sha256);
    return "";
  }
  return path;
}

std::unique_ptr<Job> Launch::open(const JobPlan& job) {
  const std::string path = checked_file(job);
  if (path.empty()) {
    return nullptr;
  }
  try {
    const std::int64_t begin = wall_ns();
    auto model = engine_->load(path);
    return std::make_unique<Job>(job, std::move(model), wall_ns() - begin, plan_.input_seed);
  } catch (const EngineError& error) {
    fail(job.id, "load", error.what());
  } catch (const std::bad_alloc&) {
    fail(job.id, "load", "out of memory");
  }
  return nullptr;
}

std::vector<std::unique_ptr<Job>> Launch::load() {
  std::vector<std::unique_ptr<Job>> jobs;
  const std::int64_t base = status_bytes("VmRSS").value_or(0);
  std::int64_t used = 0;
  for (const JobPlan& job : plan_.jobs) {
    if (used > 0 && static_cast<std::uint64_t>(used) > plan_.memory_budget_bytes && !job.anchor) {
      fail(job.id, "budget", "the jobs before it hold " + std::to_string(used) + " bytes of the budget");
      continue;
    }
    if (auto loaded = open(job)) {
      results_.write({{"kind", "load"}, {"job", job.id}, {"load_ns", loaded->load_ns},
                      {"first_ns", loaded->first_ns}, {"digests", loaded->digests}});
      jobs.push_back(std::move(loaded));
      used = status_bytes("VmRSS").value_or(base) - base;
    }
  }
  return jobs;
}

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
    results_.write({{"kind", "visit"}, {"job", sample.job->plan->id}, {"round", round}, {"start_ns", start - begin_ns_},
                    {"warmup_ns", (start - begin) / static_cast<std::int64_t>(group.size())},
                    {"wall_ns", sample.wall_ns}, {"cpu_ns", sample.cpu_ns}, {"core_before", or_null(before)},
                    {"core_after", or_null(after)}, {"redone", redone}, {"frequency_khz", frequency},
                    {"temperature_mc", temperature}});
  }
}

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
    results_.write({{"kind", "memory"}, {"job", job.id}, {"peak_bytes", std::max<std::int64_t>(peak - before, 0)},
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
      ops.push_back({{"tag", event.tag}, {"type", event.kind}, {"start_us", event.start_us},
                     {"elapsed_us", event.elapsed_us}, {"node", event.node}, {"source", event.source}});
    }
    results_.write({{"kind", "ops"}, {"job", job.id}, {"invokes", plan_.burst.invokes}, {"ops", ops}});
  } catch (const EngineError& error) {
    fail(job.id, "profile", error.what());
  }
}

int launch(const std::string& plan_path, const std::string& results_path) {
  Plan plan;
  try {
    plan = read_plan(plan_path);
  } catch (const PlanError& error) {
    return say(kBadPlan, error.what());
  }
  catch_signals();
  try {
    Results results(results_path);
    Heartbeat heartbeat(results_path + ".heartbeat");
    Launch running(plan, folder_of(plan_path), results, heartbeat);
    std::string status = "no engine";
    try {
      status = running.run();
    } catch (const EngineError& error) {
      say(kNoEngine, std::string("no engine: ") + error.what());
    }
    write_usage(results);
    results.close(status);
    return status == "deadline" ? kDeadline : status == "no engine" ? kNoEngine : kDone;
  } catch (const OutputError& error) {
    return say(kOutput, results_path + ": " + error.what());
  }
}

}  // namespace hwbench
