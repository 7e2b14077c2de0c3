#pragma once

#include <string>
#include <vector>

namespace hwbench {

/// Prints one JSON object: what this machine allows, and for each named engine (none: all) whether it loads and runs a model.
/// Returns the exit status: done when one engine at least works.
int selftest(const std::vector<std::string>& engines);

}  // namespace hwbench
