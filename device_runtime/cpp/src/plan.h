// The plan of one launch (PROTOCOL.md), checked field by field.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace hwbench {

constexpr int kProtocol = 1;

enum class Pass { Time, Memory, Profile };

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
};

/// The message names the field.
class PlanError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws PlanError.
Plan read_plan(const std::string& path);

}  // namespace hwbench
