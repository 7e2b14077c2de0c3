#include "machine.h"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <climits>
#include <fstream>
#include <malloc.h>
#include <sched.h>
#include <sstream>
#include <unistd.h>

namespace hwbench {

namespace {

constexpr int kMostCores = 4096;

std::int64_t clock_ns(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::optional<std::int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::int64_t value;
  if (file >> value) {
    return value;
  }
  return std::nullopt;
}

std::string link_target(const char* path) {
  char target[PATH_MAX];
  const ssize_t length = readlink(path, target, sizeof target);
  return length > 0 ? std::string(target, static_cast<std::size_t>(length)) : "";
}

}  // namespace

std::int64_t wall_ns() { return clock_ns(CLOCK_MONOTONIC); }
std::int64_t thread_cpu_ns() { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }
std::int64_t unix_ns() { return clock_ns(CLOCK_REALTIME); }

std::optional<std::vector<int>> pin(const std::vector<int>& cores) {
  cpu_set_t* set = CPU_ALLOC(kMostCores);
  const std::size_t size = CPU_ALLOC_SIZE(kMostCores);
  CPU_ZERO_S(size, set);
  for (const int core : cores) {
    CPU_SET_S(static_cast<std::size_t>(core), size, set);
  }
  bool done = cores.empty() || sched_setaffinity(0, size, set) == 0;
  std::vector<int> found;
  if (done && sched_getaffinity(0, size, set) == 0) {
    for (int core = 0; core < kMostCores; ++core) {
      if (CPU_ISSET_S(static_cast<std::size_t>(core), size, set)) {
        found.push_back(core);
      }
    }
  } else {
    done = false;
  }
  CPU_FREE(set);
  return done ? std::optional(found) : std::nullopt;
}

std::optional<int> current_core() {
  const int core = sched_getcpu();
  return core >= 0 ? std::optional(core) : std::nullopt;
}

std::optional<std::int64_t> frequency_khz(std::optional<int> core) {
  if (!core) {
    return std::nullopt;
  }
  return number_in("/sys/devices/system/cpu/cpu" + std::to_string(*core) + "/cpufreq/scaling_cur_freq");
}

std::optional<std::int64_t> temperature_mc() { return number_in("/sys/class/thermal/thermal_zone0/temp"); }

std::optional<std::int64_t> status_bytes(const std::string& field) {
  std::ifstream file("/proc/self/status");
  std::string line;
  while (std::getline(file, line)) {
    if (line.compare(0, field.size() + 1, field + ":") == 0) {
      std::istringstream rest(line.substr(field.size() + 1));
      std::int64_t kib;
      if (rest >> kib) {
        return kib * 1024;
      }
    }
  }
  return std::nullopt;
}

void release_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  std::ofstream("/proc/self/clear_refs") << "5";
}

bool emulated() {
  // qemu answers for /proc/self/exe with the program it emulates, but not for the thread's own entry.
  const std::string program = link_target("/proc/self/exe");
  const std::string thread = link_target(("/proc/self/task/" + std::to_string(getpid()) + "/exe").c_str());
  return !program.empty() && !thread.empty() && program != thread;
}

}  // namespace hwbench
