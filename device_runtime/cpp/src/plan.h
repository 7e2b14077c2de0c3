// The plan of one launch (PROTOCOL.md), checked field by field.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace hwbench {

constexpr int kProtocol = 2;

enum class Pass { Time, Memory, Profile, Evaluate };

struct Burst {
  std::uint64_t warmup_invokes;
  std::uint64_t warmup_us;
  std::uint64_t invokes;
  std::uint64_t duration_us;
  std::uint64_t max_invokes;
};

struct JobPlan {
  std::string id;
  std::string model;
  std::string sha256;
  std::uint64_t rounds;
  bool anchor;
};

/// What an evaluate pass runs: `count` inputs of the file `inputs`, from number `first` on. Of each output the `top`
/// largest elements are told.
struct Evaluation {
  std::string inputs;
  std::string sha256;
  std::uint64_t first;
  std::uint64_t count;
  std::uint64_t top;
};

struct Plan {
  std::uint64_t launch;
  Pass pass;
  std::string engine;
  std::string delegate;
  unsigned threads;
  std::vector<int> cores;
  std::uint64_t seed;
  std::uint64_t input_seed;
  std::uint64_t flush_bytes;
  std::uint64_t interleave;
  std::uint64_t idle_us;
  std::uint64_t rewarm_us;
  std::uint64_t memory_budget_bytes;
  std::int64_t parent_pid;
  double deadline_s;
  Burst burst;
  std::vector<JobPlan> jobs;
  std::optional<Evaluation> evaluation;
};

/// The message names the field.
class PlanError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws PlanError.
Plan read_plan(const std::string& path);

}  // namespace hwbench
