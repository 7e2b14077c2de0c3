// Which engines there are, and how each is brought to life from the libraries beside the runner.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engines/engine.h"
#include "manifest.h"

namespace hwbench {

struct EngineKind {
  const char* name;
  std::vector<std::string> delegates;
  std::unique_ptr<Engine> (*create)(const Manifest& manifest, const std::string& delegate, unsigned threads);
};

const std::vector<EngineKind>& engine_kinds();

/// nullptr when there is no such engine.
const EngineKind* find_engine(const std::string& name);

/// Checks the library against the manifest, then loads it. Throws EngineError.
std::unique_ptr<Engine> open_engine(const EngineKind& kind, const Manifest& manifest, const std::string& delegate,
                                    unsigned threads);

}  // namespace hwbench
