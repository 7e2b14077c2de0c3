#include "tools.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "launch.h"

namespace hwbench {

namespace {

void print(const Line& line) {
  std::puts(line.dump(-1, ' ', true, nlohmann::detail::error_handler_t::replace).c_str());
  std::fflush(stdout);
}

}  // namespace

int hash_files(const std::vector<std::string>& paths) {
  int code = kDone;
  for (const std::string& path : paths) {
    const std::string found = file_sha256(path);
    if (found.empty()) {
      print({{"path", path}, {"error", std::strerror(errno)}});
      code = kOutput;
    } else {
      print({{"path", path}, {"sha256", found}});
    }
  }
  return code;
}

int free_space(const std::string& path) {
  struct statvfs found{};
  if (statvfs(path.c_str(), &found) != 0) {
    print({{"path", path}, {"error", std::strerror(errno)}});
    return kOutput;
  }
  const std::uint64_t unit = found.f_frsize;
  print({{"path", path}, {"free_bytes", found.f_bavail * unit}, {"total_bytes", found.f_blocks * unit}});
  return kDone;
}

int hold_lock(const std::string& path, const std::string& holder) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) {
    print({{"locked", false}, {"error", std::strerror(errno)}});
    return kOutput;
  }
  char text[512];
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    const ssize_t count = read(file, text, sizeof text);
    print({{"locked", false}, {"holder", std::string(text, count > 0 ? static_cast<std::size_t>(count) : 0)}});
    return kBusy;
  }
  if (ftruncate(file, 0) != 0 || write(file, holder.data(), holder.size()) < 0) {
    print({{"locked", false}, {"error", std::strerror(errno)}});
    return kOutput;
  }
  print({{"locked", true}, {"pid", getpid()}});
  while (read(STDIN_FILENO, text, sizeof text) > 0) {
  }
  return kDone;
}

int check_plans(const std::vector<std::string>& paths) {
  int code = kDone;
  for (const std::string& path : paths) {
    try {
      read_plan(path);
      print({{"path", path}, {"ok", true}});
    } catch (const PlanError& error) {
      print({{"path", path}, {"ok", false}, {"error", error.what()}});
      code = kBadPlan;
    }
  }
  return code;
}

}  // namespace hwbench
