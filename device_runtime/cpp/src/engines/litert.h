#pragma once

#include <memory>
#include <string>

#include "engines/engine.h"

namespace hwbench {

/// LiteRT from its shared library. Throws EngineError.
std::unique_ptr<Engine> make_litert(const std::string& library, const std::string& delegate, unsigned threads);

}  // namespace hwbench
