// What a phone's shell may lack: hashes of files, free space, a lock.
#pragma once

#include <string>
#include <vector>

namespace hwbench {

/// Prints a line of JSON per file: path and sha256, or error. Returns 0 if all could be read.
int hash_files(const std::vector<std::string>& paths);

/// Prints the free and total bytes of the file system that holds `path`.
int free_space(const std::string& path);

/// Holds an exclusive lock on `path` until standard input ends; exit status 75 and the holder's words when it is taken.
int hold_lock(const std::string& path, const std::string& holder);

/// Prints a line per plan file: `ok`, or what is wrong with it. Returns 64 if one is refused.
int check_plans(const std::vector<std::string>& paths);

}  // namespace hwbench
