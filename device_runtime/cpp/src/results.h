// The result file: JSON lines, each written whole; the footer makes it complete.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "sha256.h"

namespace hwbench {

using Line = nlohmann::ordered_json;

/// A value, or null where there is none.
template <typename T>
Line or_null(const std::optional<T>& value) {
  return value ? Line(*value) : Line(nullptr);
}

/// The result file cannot be written; the message is the system's.
class OutputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Results {
 public:
  /// Throws OutputError, as every method does.
  explicit Results(const std::string& path);
  ~Results();
  Results(const Results&) = delete;
  Results& operator=(const Results&) = delete;

  void write(const Line& line);
  void close(const std::string& status);
  /// How many of the lines so far are visits or outputs.
  std::uint64_t visits() const { return visits_; }

 private:
  void append(const std::string& text);

  int file_;
  Sha256 hash_;
  std::uint64_t lines_ = 0;
  std::uint64_t visits_ = 0;
};

/// A small file beside the results that changes while the runner is alive, at most once a second: its process, a time,
/// and how many visits (evaluating: inputs) are done.
class Heartbeat {
 public:
  explicit Heartbeat(std::string path);
  void beat(std::uint64_t visits);

 private:
  std::string path_;
  std::int64_t next_ns_ = 0;
};

}  // namespace hwbench
