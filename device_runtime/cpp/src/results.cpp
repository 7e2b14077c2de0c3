#include "results.h"

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

#include "machine.h"

namespace hwbench {

namespace {

constexpr std::int64_t kBeatNs = 1'000'000'000;

/// Writes everything; false with errno set.
bool write_whole(int file, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = ::write(file, text.data() + done, text.size() - done);
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return false;
    }
    done += static_cast<std::size_t>(count);
  }
  return true;
}

std::string dumped(const Line& line) {
  return line.dump(-1, ' ', false, nlohmann::detail::error_handler_t::replace) + "\n";
}

}  // namespace

Results::Results(const std::string& path) : file_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  if (file_ < 0) {
    throw OutputError(std::strerror(errno));
  }
}

Results::~Results() {
  if (file_ >= 0) {
    ::close(file_);
  }
}

void Results::append(const std::string& text) {
  if (!write_whole(file_, text)) {
    throw OutputError(std::strerror(errno));
  }
}

void Results::write(const Line& line) {
  const std::string text = dumped(line);
  append(text);
  hash_.update(text.data(), text.size());
  ++lines_;
  visits_ += line.at("kind") == "visit" || line.at("kind") == "output" ? 1 : 0;
}

void Results::close(const std::string& status) {
  append(dumped({{"kind", "footer"}, {"status", status}, {"lines", lines_}, {"sha256", hash_.hex()}}));
  // EINVAL: a pipe or a device, which need no syncing.
  if (fsync(file_) != 0 && errno != EINVAL && errno != EROFS) {
    throw OutputError(std::strerror(errno));
  }
  const int closed = ::close(file_);
  file_ = -1;
  if (closed != 0) {
    throw OutputError(std::strerror(errno));
  }
}

Heartbeat::Heartbeat(std::string path) : path_(std::move(path)) {}

void Heartbeat::beat(std::uint64_t visits) {
  const std::int64_t now = wall_ns();
  if (now < next_ns_) {
    return;
  }
  next_ns_ = now + kBeatNs;
  const int file = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file >= 0) {
    write_whole(file, std::to_string(getpid()) + " " + std::to_string(now) + " " + std::to_string(visits) + "\n");
    ::close(file);
  }
}

}  // namespace hwbench
