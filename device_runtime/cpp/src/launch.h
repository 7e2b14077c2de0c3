// One launch: the plan's pass over its jobs, on one engine.
#pragma once

#include <csignal>
#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "burst.h"
#include "engines/registry.h"
#include "plan.h"
#include "results.h"

namespace hwbench {

extern const char* const kRunner;

/// Exit statuses of PROTOCOL.md.
enum Exit { kDone = 0, kBadPlan = 64, kNoEngine = 65, kDeadline = 66, kOutput = 67, kBusy = 75 };

/// Executes the plan and writes the result file; returns the exit status.
int launch(const std::string& plan_path, const std::string& results_path);

class Launch {
 public:
  Launch(const Plan& plan, std::string folder, Results& results, Heartbeat& heartbeat);

  /// Returns how it ended, for the footer. Throws EngineError when there is no engine, and OutputError.
  std::string run();

 private:
  struct Stop {
    const char* status;
  };

  /// Beats the heart; throws Stop when the launch has to end.
  void check();
  void fail(const std::string& job, const char* stage, const std::string& message);
  /// A file below the plan's folder if it is there with that hash; else a failure line of the job and an empty path.
  std::string checked_file(const std::string& job, const std::string& file, const std::string& sha256);
  std::unique_ptr<Job> open(const JobPlan& job);
  std::vector<std::unique_ptr<Job>> load();
  void loaded(const Job& job);

  void time(const std::vector<std::unique_ptr<Job>>& jobs);
  std::vector<std::vector<Job*>> groups(std::vector<Job*> jobs);
  void rewarm(Job& anchor);
  void visit(std::vector<Job*> group, std::uint64_t round);
  bool off_mask(std::optional<int> core) const;
  void memory(const JobPlan& job);
  void profile(const JobPlan& job);
  void evaluate(const JobPlan& job);
  /// Runs a loaded job on the inputs of an open file. Throws EngineError.
  void run_inputs(Job& job, std::ifstream& file);

  const Plan& plan_;
  const std::string folder_;
  Results& results_;
  Heartbeat& heartbeat_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Flush> flush_;
  std::mt19937_64 order_;
  std::int64_t begin_ns_;
  std::int64_t last_ns_;
};

}  // namespace hwbench
