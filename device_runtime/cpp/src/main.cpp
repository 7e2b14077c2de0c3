// hwbench-runner: executes one plan and writes one result file (PROTOCOL.md).
#include <cstdio>
#include <string>
#include <vector>

#include "launch.h"
#include "selftest.h"
#include "tools.h"

namespace {

int usage() {
  std::fputs(
      "usage: hwbench-runner PLAN RESULTS\n"
      "       hwbench-runner --selftest [ENGINE...] | --version\n"
      "       hwbench-runner --hash FILE... | --free FOLDER | --lock FILE HOLDER | --check-plan PLAN...\n",
      stderr);
  return hwbench::kBadPlan;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty()) {
    return usage();
  }
  const std::string& first = words.front();
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  if (first == "--selftest") {
    return hwbench::selftest(rest);
  }
  if (first == "--version" && rest.empty()) {
    std::printf("%s, protocol %d\n", hwbench::kRunner, hwbench::kProtocol);
    return 0;
  }
  if (first == "--hash" && !rest.empty()) {
    return hwbench::hash_files(rest);
  }
  if (first == "--free" && rest.size() == 1) {
    return hwbench::free_space(rest.front());
  }
  if (first == "--lock" && rest.size() == 2) {
    return hwbench::hold_lock(rest[0], rest[1]);
  }
  if (first == "--check-plan" && !rest.empty()) {
    return hwbench::check_plans(rest);
  }
  if (words.size() == 2 && first.rfind("--", 0) != 0) {
    return hwbench::launch(words[0], words[1]);
  }
  return usage();
}
