// Seeded inputs and output digests, the same numbers on every machine and in every runner (PROTOCOL.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engines/engine.h"
#include "results.h"

namespace hwbench {

/// The bytes of an input: nearly standard normal values, quantized for integer tensors.
std::vector<std::uint8_t> seeded_input(const TensorSpec& spec, std::uint64_t seed);

/// Sum, L2 norm, largest magnitude and 64 values at seeded positions. Throws EngineError for NaN or infinity.
Line digest(const TensorSpec& spec, const void* data);

}  // namespace hwbench
