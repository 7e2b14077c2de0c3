#include "plan.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "engines/registry.h"

namespace hwbench {

namespace {

using nlohmann::json;

constexpr std::uint64_t kMostBytes = 64u << 20;
constexpr std::uint64_t kMostTop = 1024;

// In the order of Pass.
const std::vector<std::string> kPasses = {"time", "memory", "profile", "evaluate"};

const json& field(const json& source, const char* name, const std::string& where) {
  const auto found = source.find(name);
  if (found == source.end()) {
    throw PlanError(where + "." + name + " is missing");
  }
  return *found;
}

[[noreturn]] void refuse(const std::string& where, const char* name, const char* why) {
  throw PlanError(where + "." + name + " " + why);
}

std::uint64_t integer(const json& source, const char* name, const std::string& where = "plan", std::uint64_t least = 0,
                      std::uint64_t most = std::numeric_limits<std::int64_t>::max()) {
  const json& value = field(source, name, where);
  if (!value.is_number_integer()) {
    refuse(where, name, "has the wrong type");
  }
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() < least || value.get<std::uint64_t>() > most) {
    refuse(where, name, "is out of range");
  }
  return value.get<std::uint64_t>();
}

std::string text(const json& source, const char* name, const std::string& where = "plan") {
  const json& value = field(source, name, where);
  if (!value.is_string()) {
    refuse(where, name, "has the wrong type");
  }
  return value.get<std::string>();
}

double number(const json& source, const char* name) {
  const json& value = field(source, name, "plan");
  if (!value.is_number()) {
    refuse("plan", name, "has the wrong type");
  }
  const auto found = value.get<double>();
  if (!(found >= 0 && found < 9.3e18)) {
    refuse("plan", name, "is out of range");
  }
  return found;
}

std::string one_of(const json& source, const char* name, const std::vector<std::string>& allowed) {
  const std::string value = text(source, name);
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) {
    return value;
  }
  std::string known;
  for (const std::string& word : allowed) {
    known += (known.empty() ? "" : ", ") + word;
  }
  throw PlanError(std::string("plan.") + name + " is none of " + known);
}

/// A relative path without `..`, so that no plan reads outside its folder.
bool stays_inside(const std::string& path) {
  if (path.empty() || path.front() == '/' || path.find('\0') != std::string::npos) {
    return false;
  }
  return ("/" + path + "/").find("/../") == std::string::npos;
}

JobPlan job(const json& source, const std::string& where) {
  if (!source.is_object()) {
    throw PlanError(where + " is not an object");
  }
  JobPlan found;
  found.id = text(source, "id", where);
  found.model = text(source, "model", where);
  found.sha256 = text(source, "sha256", where);
  found.rounds = integer(source, "rounds", where, 0, 1'000'000);
  const json& anchor = field(source, "anchor", where);
  if (!anchor.is_boolean()) {
    refuse(where, "anchor", "has the wrong type");
  }
  found.anchor = anchor.get<bool>();
  if (!stays_inside(found.model)) {
    refuse(where, "model", "leaves the plan's folder");
  }
  return found;
}

std::vector<JobPlan> jobs(const json& source) {
  const json& list = field(source, "jobs", "plan");
  if (!list.is_array()) {
    refuse("plan", "jobs", "has the wrong type");
  }
  if (list.empty()) {
    refuse("plan", "jobs", "is empty");
  }
  std::vector<JobPlan> found;
  std::set<std::string> seen;
  for (const json& entry : list) {
    const std::string where = "plan.jobs[" + std::to_string(found.size()) + "]";
    found.push_back(job(entry, where));
    if (!seen.insert(found.back().id).second) {
      throw PlanError(where + ".id stands twice");
    }
  }
  return found;
}

std::vector<int> cores(const json& source) {
  const json& list = field(source, "cores", "plan");
  if (!list.is_array()) {
    refuse("plan", "cores", "has the wrong type");
  }
  std::vector<int> found;
  for (const json& core : list) {
    if (!core.is_number_unsigned() || core.get<std::uint64_t>() >= 4096) {
      refuse("plan", "cores", "is not a list of core numbers");
    }
    found.push_back(core.get<int>());
  }
  return found;
}

Burst burst(const json& source) {
  const json& limits = field(source, "burst", "plan");
  if (!limits.is_object()) {
    refuse("plan", "burst", "has the wrong type");
  }
  const std::string where = "plan.burst";
  Burst found;
  found.warmup_invokes = integer(limits, "warmup_invokes", where);
  found.warmup_us = integer(limits, "warmup_us", where);
  found.duration_us = integer(limits, "duration_us", where);
  found.max_invokes = integer(limits, "max_invokes", where, 1, 1'000'000);
  found.invokes = integer(limits, "invokes", where, 1, found.max_invokes);
  return found;
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw PlanError("the plan cannot be read: " + std::string(std::strerror(errno)));
  }
  std::string whole;
  char chunk[1 << 14];
  while (file.read(chunk, sizeof chunk) || file.gcount() > 0) {
    whole.append(chunk, static_cast<std::size_t>(file.gcount()));
    if (whole.size() > kMostBytes) {
      throw PlanError("the plan is larger than 64 MiB");
    }
  }
  return whole;
}

Evaluation evaluation(const json& source) {
  const json& wanted = field(source, "evaluation", "plan");
  if (!wanted.is_object()) {
    refuse("plan", "evaluation", "has the wrong type");
  }
  const std::string where = "plan.evaluation";
  Evaluation found;
  found.inputs = text(wanted, "inputs", where);
  found.sha256 = text(wanted, "sha256", where);
  found.first = integer(wanted, "first", where);
  found.count = integer(wanted, "count", where);
  found.top = integer(wanted, "top", where, 1, kMostTop);
  if (!stays_inside(found.inputs)) {
    refuse(where, "inputs", "leaves the plan's folder");
  }
  return found;
}

Plan checked(const json& source) {
  if (!source.is_object()) {
    throw PlanError("the plan is not an object");
  }
  if (text(source, "schema") != "hwbench.plan/" + std::to_string(kProtocol)) {
    throw PlanError("plan.schema is not hwbench.plan/" + std::to_string(kProtocol));
  }
  Plan plan;
  std::vector<std::string> engines;
  for (const EngineKind& kind : engine_kinds()) {
    engines.emplace_back(kind.name);
  }
  plan.engine = one_of(source, "engine", engines);
  plan.delegate = one_of(source, "delegate", find_engine(plan.engine)->delegates);
  const std::string pass = one_of(source, "pass", kPasses);
  plan.pass = static_cast<Pass>(std::find(kPasses.begin(), kPasses.end(), pass) - kPasses.begin());
  plan.launch = integer(source, "launch");
  plan.seed = integer(source, "seed");
  plan.input_seed = integer(source, "input_seed");
  plan.flush_bytes = integer(source, "flush_bytes", "plan", 0, 1u << 30);
  plan.interleave = integer(source, "interleave", "plan", 1);
  plan.idle_us = integer(source, "idle_us");
  plan.rewarm_us = integer(source, "rewarm_us");
  plan.memory_budget_bytes = integer(source, "memory_budget_bytes");
  plan.parent_pid = static_cast<std::int64_t>(integer(source, "parent_pid"));
  plan.threads = static_cast<unsigned>(integer(source, "threads", "plan", 1, 1024));
  plan.deadline_s = number(source, "deadline_s");
  plan.cores = cores(source);
  plan.burst = burst(source);
  plan.jobs = jobs(source);
  if (plan.pass == Pass::Evaluate) {
    plan.evaluation = evaluation(source);
  }
  return plan;
}

}  // namespace

Plan read_plan(const std::string& path) {
  const std::string whole = contents(path);
  json source;
  try {
    source = json::parse(whole);
  } catch (const json::exception& error) {
    throw PlanError(std::string("the plan cannot be read: ") + error.what());
  }
  return checked(source);
}

}  // namespace hwbench
