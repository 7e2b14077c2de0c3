// What the kernel tells about this process and its cores; empty where it does not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hwbench {

std::int64_t wall_ns();
std::int64_t thread_cpu_ns();
std::int64_t unix_ns();

/// Restricts this process to `cores` (none: leaves it) and reads the affinity back.
std::optional<std::vector<int>> pin(const std::vector<int>& cores);

std::optional<int> current_core();
std::optional<std::int64_t> frequency_khz(std::optional<int> core);
std::optional<std::int64_t> temperature_mc();

/// A size from /proc/self/status, such as VmRSS.
std::optional<std::int64_t> status_bytes(const std::string& field);

/// Gives freed memory back to the system and resets the peak of resident memory, where the kernel allows it.
void release_memory();

/// Whether an emulator of another processor runs this program, so that its times mean nothing.
bool emulated();

}  // namespace hwbench
