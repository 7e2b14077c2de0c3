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

/// The largest elements of an output and where they are, the largest first, equal ones in order.
struct Largest {
  std::vector<std::uint64_t> places;
  std::vector<double> values;
};

/// The `count` largest elements, or all. Throws EngineError for NaN or infinity.
Largest find_largest(const TensorSpec& spec, const void* data, std::uint64_t count);

}  // namespace hwbench
