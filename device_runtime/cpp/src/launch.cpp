#include "launch.h"

#include <sys/resource.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "machine.h"
#include "manifest.h"

namespace hwbench {

const char* const kRunner = "native-1";

namespace {

constexpr std::size_t kMostMessage = 500;

volatile std::sig_atomic_t stopping = 0;

void stop(int number) { stopping = number; }

void catch_signals() {
  struct sigaction action{};
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

void write_usage(Results& results) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
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
    : plan_(plan),
      folder_(std::move(folder)),
      results_(results),
      heartbeat_(heartbeat),
      order_(plan.seed),
      begin_ns_(wall_ns()),
      last_ns_(begin_ns_) {}

std::string Launch::run() {
  try {
    // XNNPACK chooses kernels by the core it is loaded on, so pinning comes first.
    const auto cores = pin(plan_.cores);
    const Manifest manifest = read_manifest();
    engine_ = open_engine(*find_engine(plan_.engine), manifest, plan_.delegate, plan_.threads);
    const EngineLibrary& library = manifest.engines.at(plan_.engine);
    results_.write({{"kind", "launch"},
                    {"protocol", kProtocol},
                    {"runner", kRunner},
                    {"launch", plan_.launch},
                    {"engine", plan_.engine},
                    {"engine_package", library.package},
                    {"engine_version", library.version},
                    {"engine_sha256", library.sha256},
                    {"delegate", plan_.delegate},
                    {"threads", plan_.threads},
                    {"cores", or_null(cores)},
                    {"emulated", emulated()},
                    {"pid", getpid()},
                    {"unix_ns", unix_ns()}});
    if (plan_.flush_bytes > 0) {
      flush_ = std::make_unique<Flush>(plan_.flush_bytes);
    }
    if (plan_.pass == Pass::Time) {
      time(load());
      return "complete";
    }
    for (const JobPlan& job : plan_.jobs) {
      plan_.pass == Pass::Memory ? memory(job) : plan_.pass == Pass::Profile ? profile(job) : evaluate(job);
    }
    return "complete";
  } catch (const Stop& reason) {
    return reason.status;
  }
}

void Launch::check() {
  heartbeat_.beat(results_.visits());
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

std::string Launch::checked_file(const std::string& job, const std::string& file, const std::string& sha256) {
  check();
  const std::string path = folder_ + "/" + file;
  const std::string found = file_sha256(path);
  if (found.empty()) {
    fail(job, "read", std::strerror(errno));
    return "";
  }
  if (found != sha256) {
    fail(job, "hash", "the file has sha256 " + found + ", the plan says " + sha256);
    return "";
  }
  return path;
}

std::unique_ptr<Job> Launch::open(const JobPlan& job) {
  const std::string path = checked_file(job.id, job.model, job.sha256);
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
    if (auto opened = open(job)) {
      loaded(*opened);
      jobs.push_back(std::move(opened));
      used = status_bytes("VmRSS").value_or(base) - base;
    }
  }
  return jobs;
}

void Launch::loaded(const Job& job) {
  results_.write({{"kind", "load"},
                  {"job", job.plan->id},
                  {"load_ns", job.load_ns},
                  {"first_ns", job.first_ns},
                  {"digests", job.digests}});
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
