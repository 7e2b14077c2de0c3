#include "numbers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace hwbench {

namespace {

constexpr std::uint64_t kOutputSeed = 0x5EED;
constexpr std::uint64_t kDigestValues = 64;
constexpr double kDefaultScale = 1.0 / 32;

std::uint64_t splitmix64(std::uint64_t counter) {
  std::uint64_t mixed = counter * 0x9E3779B97F4A7C15u;
  mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9u;
  mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBu;
  return mixed ^ mixed >> 31;
}

float seeded_normal(std::uint64_t base, std::uint64_t number) {
  std::uint64_t word = splitmix64(base + number);
  std::uint64_t sum = 0;
  for (int i = 0; i < 8; ++i, word >>= 8) {
    sum += word & 0xFF;
  }
  return static_cast<float>((static_cast<double>(sum) - 1020.0) / 209.0);
}

/// The largest double that converts to T; 2^63 itself is no 64-bit integer.
template <typename T>
double largest() {
  const auto most = static_cast<double>(std::numeric_limits<T>::max());
  return sizeof(T) == 8 ? std::nextafter(most, 0.0) : most;
}

template <typename T>
void fill_integers(const TensorSpec& spec, std::uint64_t base, std::uint8_t* bytes) {
  const double scale = spec.scale != 0.0 ? spec.scale : kDefaultScale;
  const auto lowest = static_cast<double>(std::numeric_limits<T>::min());
  for (std::size_t i = 0; i < spec.size; ++i) {
    const double value = std::nearbyint(seeded_normal(base, i + 1) / scale) + static_cast<double>(spec.zero_point);
    const T element = static_cast<T>(std::clamp(value, lowest, largest<T>()));
    std::memcpy(bytes + i * sizeof(T), &element, sizeof(T));
  }
}

template <typename T>
double element(const void* data, std::size_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + index * sizeof(T), sizeof(T));
  return static_cast<double>(value);
}

using Reader = double (*)(const void*, std::size_t);

Reader reader(ElementType type) {
  switch (type) {
    case ElementType::Int8:
      return element<std::int8_t>;
    case ElementType::UInt8:
      return element<std::uint8_t>;
    case ElementType::Int16:
      return element<std::int16_t>;
    case ElementType::Int32:
      return element<std::int32_t>;
    case ElementType::Int64:
      return element<std::int64_t>;
    default:
      return element<float>;
  }
}

}  // namespace

std::vector<std::uint8_t> seeded_input(const TensorSpec& spec, std::uint64_t seed) {
  std::vector<std::uint8_t> bytes(spec.size * element_bytes(spec.type));
  const std::uint64_t base = seed * 0xD1342543DE82EF95u;
  switch (spec.type) {
    case ElementType::Int8:
      fill_integers<std::int8_t>(spec, base, bytes.data());
      break;
    case ElementType::UInt8:
      fill_integers<std::uint8_t>(spec, base, bytes.data());
      break;
    case ElementType::Int16:
      fill_integers<std::int16_t>(spec, base, bytes.data());
      break;
    case ElementType::Int32:
      fill_integers<std::int32_t>(spec, base, bytes.data());
      break;
    case ElementType::Int64:
      fill_integers<std::int64_t>(spec, base, bytes.data());
      break;
    case ElementType::Float32:
      for (std::size_t i = 0; i < spec.size; ++i) {
        const float value = seeded_normal(base, i + 1);
        std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value);
      }
  }
  return bytes;
}

Line digest(const TensorSpec& spec, const void* data) {
  const Reader read = reader(spec.type);
  double sum = 0.0, squares = 0.0, largest = 0.0;
  for (std::size_t i = 0; i < spec.size; ++i) {
    const double value = read(data, i);
    sum += value;
    squares += value * value;
    largest = std::max(largest, std::abs(value));
  }
  if (!std::isfinite(sum) || !std::isfinite(squares)) {
    throw EngineError("the output is not finite");
  }
  std::vector<double> values;
  for (std::uint64_t i = 0; i < kDigestValues && spec.size > 0; ++i) {
    values.push_back(read(data, splitmix64(kOutputSeed + i) % spec.size));
  }
  return {{"type", element_name(spec.type)}, {"size", spec.size},  {"sum", sum},
          {"l2", std::sqrt(squares)},        {"max_abs", largest}, {"values", values}};
}

Largest find_largest(const TensorSpec& spec, const void* data, std::uint64_t count) {
  const Reader read = reader(spec.type);
  std::vector<double> values(spec.size);
  for (std::size_t i = 0; i < spec.size; ++i) {
    values[i] = read(data, i);
    if (!std::isfinite(values[i])) {
      throw EngineError("the output is not finite");
    }
  }
  std::vector<std::uint64_t> places(spec.size);
  std::iota(places.begin(), places.end(), 0);
  const auto end = places.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(count, spec.size));
  std::partial_sort(places.begin(), end, places.end(), [&values](std::uint64_t a, std::uint64_t b) {
    return values[a] != values[b] ? values[a] > values[b] : a < b;
  });
  Largest found{{places.begin(), end}, {}};
  for (const std::uint64_t place : found.places) {
    found.values.push_back(values[place]);
  }
  return found;
}

}  // namespace hwbench
