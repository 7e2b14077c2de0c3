// What an engine offers: models that are fed, invoked and read, and per-operator times. A third engine is one more
// subclass and one line in registry.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace hwbench {

enum class ElementType { Float32, Int8, UInt8, Int16, Int32, Int64 };

std::size_t element_bytes(ElementType type);
const char* element_name(ElementType type);

/// One input or output. `scale` is 0 for a tensor without quantization.
struct TensorSpec {
  ElementType type;
  std::size_t size;
  double scale = 0.0;
  std::int64_t zero_point = 0;
};

/// One event of a profiler: kind 2 is an operator, 8 a kernel inside a delegate.
struct OpEvent {
  std::string tag;
  int kind;
  double start_us;
  double elapsed_us;
  std::int64_t node;
  int source;
};

class EngineError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Model {
 public:
  virtual ~Model() = default;
  virtual const std::vector<TensorSpec>& inputs() const = 0;
  virtual const std::vector<TensorSpec>& outputs() const = 0;
  /// Copies `data` into input `index`, as the layer before would have written it.
  virtual void feed(std::size_t index, const void* data) = 0;
  /// One forward pass; false when it failed.
  virtual bool invoke() = 0;
  /// The elements of output `index` in the order of memory.
  virtual const void* output(std::size_t index) = 0;
};

class ProfiledModel : public Model {
 public:
  virtual void start() = 0;
  virtual std::vector<OpEvent> stop() = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  /// Both throw EngineError.
  virtual std::unique_ptr<Model> load(const std::string& path) = 0;
  virtual std::unique_ptr<ProfiledModel> load_profiled(const std::string& path) = 0;
};

}  // namespace hwbench
