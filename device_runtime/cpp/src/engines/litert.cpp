#include "engines/litert.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <utility>

#include "engines/litert_api.h"

namespace hwbench {

namespace {

using litert::Api;
using litert::Handle;

// LiteRtCpuKernelMode in the CPU options: XNNPACK, or LiteRT's own optimized kernels.
constexpr const char* kXnnpackMode = "0";
constexpr const char* kBuiltinMode = "2";

void expect(litert::Status status, const char* what) {
  if (status != litert::kOk) {
    throw EngineError(std::string("LiteRt") + what + " returned " + std::to_string(status));
  }
}

Api load_api(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw EngineError(dlerror());
  }
  Api api;
  const auto bind = [library](auto& function, const char* name) {
    void* symbol = dlsym(library, name);
    if (symbol == nullptr) {
      throw EngineError(std::string("the LiteRT library has no ") + name);
    }
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(symbol);
  };
#define HWBENCH_BIND(name) bind(api.name, "LiteRt" #name)
  HWBENCH_BIND(CreateEnvironment);
  HWBENCH_BIND(DestroyEnvironment);
  HWBENCH_BIND(CreateModelFromFile);
  HWBENCH_BIND(DestroyModel);
  HWBENCH_BIND(CreateOptions);
  HWBENCH_BIND(DestroyOptions);
  HWBENCH_BIND(SetOptionsHardwareAccelerators);
  HWBENCH_BIND(CreateOpaqueOptions);
  HWBENCH_BIND(AddOpaqueOptions);
  HWBENCH_BIND(CreateCompiledModel);
  HWBENCH_BIND(DestroyCompiledModel);
  HWBENCH_BIND(GetModelSignature);
  HWBENCH_BIND(GetNumSignatureInputs);
  HWBENCH_BIND(GetNumSignatureOutputs);
  HWBENCH_BIND(GetSignatureInputTensorByIndex);
  HWBENCH_BIND(GetSignatureOutputTensorByIndex);
  HWBENCH_BIND(GetRankedTensorType);
  HWBENCH_BIND(GetQuantizationTypeId);
  HWBENCH_BIND(GetPerTensorQuantization);
  HWBENCH_BIND(GetCompiledModelInputBufferRequirements);
  HWBENCH_BIND(GetCompiledModelOutputBufferRequirements);
  HWBENCH_BIND(GetTensorBufferRequirementsBufferSize);
  HWBENCH_BIND(CreateTensorBufferFromHostMemory);
  HWBENCH_BIND(DestroyTensorBuffer);
  HWBENCH_BIND(RunCompiledModel);
  HWBENCH_BIND(CompiledModelGetProfiler);
  HWBENCH_BIND(StartProfiler);
  HWBENCH_BIND(StopProfiler);
  HWBENCH_BIND(GetNumProfilerEvents);
  HWBENCH_BIND(GetProfilerEvents);
#undef HWBENCH_BIND
  return api;
}

ElementType element_type(int type) {
  switch (type) {
    case litert::kFloat32:
      return ElementType::Float32;
    case litert::kInt32:
      return ElementType::Int32;
    case litert::kUInt8:
      return ElementType::UInt8;
    case litert::kInt64:
      return ElementType::Int64;
    case litert::kInt16:
      return ElementType::Int16;
    case litert::kInt8:
      return ElementType::Int8;
    default:
      throw EngineError("the model has a tensor of type " + std::to_string(type) + ", which is not measured");
  }
}

/// Owns one handle of the library.
class Owned {
 public:
  Owned() = default;
  explicit Owned(void (*destroy)(Handle)) : destroy_(destroy) {}
  ~Owned() { reset(); }
  Owned(Owned&& other) noexcept : destroy_(other.destroy_), handle_(std::exchange(other.handle_, nullptr)) {}
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;

  Handle* out() { return &handle_; }
  Handle get() const { return handle_; }
  void reset() {
    if (handle_ != nullptr) {
      destroy_(std::exchange(handle_, nullptr));
    }
  }

 private:
  void (*destroy_)(Handle) = nullptr;
  Handle handle_ = nullptr;
};

/// One input or output in memory of our own.
struct Buffer {
  std::unique_ptr<void, void (*)(void*)> memory;
  std::size_t bytes;
  Owned handle;
};

class LiteRtModel final : public ProfiledModel {
 public:
  LiteRtModel(const Api& api, Handle environment, const std::string& path, const std::string& cpu_options,
              bool profiled)
      : api_(api), model_(api.DestroyModel), options_(api.DestroyOptions), compiled_(api.DestroyCompiledModel) {
    expect(api_.CreateModelFromFile(environment, path.c_str(), model_.out()), "CreateModelFromFile");
    expect(api_.CreateOptions(options_.out()), "CreateOptions");
    expect(api_.SetOptionsHardwareAccelerators(options_.get(), litert::kCpu), "SetOptionsHardwareAccelerators");
    add_options("xnnpack", cpu_options);
    if (profiled) {
      add_options("runtime_options_string", "enable_profiling = true\n");
    }
    expect(api_.CreateCompiledModel(environment, model_.get(), options_.get(), compiled_.out()), "CreateCompiledModel");
    if (profiled) {
      expect(api_.CompiledModelGetProfiler(compiled_.get(), &profiler_), "CompiledModelGetProfiler");
      if (profiler_ == nullptr) {
        throw EngineError("LiteRT gave no profiler");
      }
    }
    Handle signature = nullptr;
    expect(api_.GetModelSignature(model_.get(), 0, &signature), "GetModelSignature");
    litert::Index count = 0;
    expect(api_.GetNumSignatureInputs(signature, &count), "GetNumSignatureInputs");
    for (litert::Index i = 0; i < count; ++i) {
      Handle tensor = nullptr, needs = nullptr;
      expect(api_.GetSignatureInputTensorByIndex(signature, i, &tensor), "GetSignatureInputTensorByIndex");
      expect(api_.GetCompiledModelInputBufferRequirements(compiled_.get(), 0, i, &needs), "GetInputBufferRequirements");
      input_specs_.push_back(add_buffer(tensor, needs, inputs_));
    }
    expect(api_.GetNumSignatureOutputs(signature, &count), "GetNumSignatureOutputs");
    for (litert::Index i = 0; i < count; ++i) {
      Handle tensor = nullptr, needs = nullptr;
      expect(api_.GetSignatureOutputTensorByIndex(signature, i, &tensor), "GetSignatureOutputTensorByIndex");
      expect(api_.GetCompiledModelOutputBufferRequirements(compiled_.get(), 0, i, &needs), "GetOutputBufferRequirements");
      output_specs_.push_back(add_buffer(tensor, needs, outputs_));
    }
    for (const Buffer& buffer : inputs_) {
      input_handles_.push_back(buffer.handle.get());
    }
    for (const Buffer& buffer : outputs_) {
      output_handles_.push_back(buffer.handle.get());
    }
  }

  const std::vector<TensorSpec>& inputs() const override { return input_specs_; }
  const std::vector<TensorSpec>& outputs() const override { return output_specs_; }

  void feed(std::size_t index, const void* data) override {
    const TensorSpec& spec = input_specs_[index];
    std::memcpy(inputs_[index].memory.get(), data, spec.size * element_bytes(spec.type));
  }

  bool invoke() override {
    return api_.RunCompiledModel(compiled_.get(), 0, input_handles_.size(), input_handles_.data(),
                                 output_handles_.size(), output_handles_.data()) == litert::kOk;
  }

  const void* output(std::size_t index) override { return outputs_[index].memory.get(); }

  void start() override { expect(api_.StartProfiler(profiler_), "StartProfiler"); }

  std::vector<OpEvent> stop() override {
    expect(api_.StopProfiler(profiler_), "StopProfiler");
    int count = 0;
    expect(api_.GetNumProfilerEvents(profiler_, &count), "GetNumProfilerEvents");
    std::vector<litert::ProfilerEvent> raw(static_cast<std::size_t>(count));
    expect(api_.GetProfilerEvents(profiler_, count, raw.data()), "GetProfilerEvents");
    std::vector<OpEvent> events;
    for (const litert::ProfilerEvent& event : raw) {
      events.push_back({event.tag != nullptr ? event.tag : "", event.type, static_cast<double>(event.start_us),
                        static_cast<double>(event.elapsed_us), static_cast<std::int64_t>(event.metadata_1),
                        event.source});
    }
    return events;
  }

 private:
  void add_options(const char* identifier, const std::string& toml) {
    Handle options = nullptr;
    expect(api_.CreateOpaqueOptions(identifier, strdup(toml.c_str()), std::free, &options), "CreateOpaqueOptions");
    expect(api_.AddOpaqueOptions(options_.get(), options), "AddOpaqueOptions");
  }

  TensorSpec add_buffer(Handle tensor, Handle needs, std::vector<Buffer>& buffers) {
    litert::TensorType type{};
    expect(api_.GetRankedTensorType(tensor, &type), "GetRankedTensorType");
    TensorSpec spec{element_type(type.element_type), 1};
    for (std::uint32_t axis = 0; axis < type.layout.rank; ++axis) {
      if (type.layout.dimensions[axis] < 0) {
        throw EngineError("the model has a tensor of dynamic shape");
      }
      spec.size *= static_cast<std::size_t>(type.layout.dimensions[axis]);
    }
    int quantization = 0;
    litert::PerTensorQuantization parameters{};
    if (api_.GetQuantizationTypeId(tensor, &quantization) == litert::kOk && quantization == litert::kPerTensor &&
        api_.GetPerTensorQuantization(tensor, &parameters) == litert::kOk) {
      spec.scale = parameters.scale;
      spec.zero_point = parameters.zero_point;
    }
    std::size_t bytes = 0;
    expect(api_.GetTensorBufferRequirementsBufferSize(needs, &bytes), "GetTensorBufferRequirementsBufferSize");
    // XNNPACK may read past the end of its inputs.
    const std::size_t allocated = (bytes / litert::kAlignment + 2) * litert::kAlignment;
    Buffer buffer{{std::aligned_alloc(litert::kAlignment, allocated), std::free}, bytes,
                  Owned(api_.DestroyTensorBuffer)};
    if (buffer.memory == nullptr) {
      throw EngineError("out of memory");
    }
    std::memset(buffer.memory.get(), 0, allocated);
    expect(api_.CreateTensorBufferFromHostMemory(&type, buffer.memory.get(), bytes, nullptr, buffer.handle.out()),
           "CreateTensorBufferFromHostMemory");
    buffers.push_back(std::move(buffer));
    return spec;
  }

  const Api& api_;
  Owned model_;
  Owned options_;
  Owned compiled_;
  Handle profiler_ = nullptr;
  std::vector<Buffer> inputs_;
  std::vector<Buffer> outputs_;
  std::vector<TensorSpec> input_specs_;
  std::vector<TensorSpec> output_specs_;
  std::vector<Handle> input_handles_;
  std::vector<Handle> output_handles_;
};

class LiteRt final : public Engine {
 public:
  LiteRt(const std::string& library, const std::string& delegate, unsigned threads)
      : api_(load_api(library)), environment_(api_.DestroyEnvironment),
        cpu_options_(std::string("kernel_mode = ") + (delegate == "builtin" ? kBuiltinMode : kXnnpackMode) +
                     "\nnum_threads = " + std::to_string(threads) + "\n") {
    expect(api_.CreateEnvironment(0, nullptr, environment_.out()), "CreateEnvironment");
  }

  std::unique_ptr<Model> load(const std::string& path) override {
    return std::make_unique<LiteRtModel>(api_, environment_.get(), path, cpu_options_, false);
  }

  std::unique_ptr<ProfiledModel> load_profiled(const std::string& path) override {
    return std::make_unique<LiteRtModel>(api_, environment_.get(), path, cpu_options_, true);
  }

 private:
  const Api api_;
  Owned environment_;
  const std::string cpu_options_;
};

}  // namespace

std::unique_ptr<Engine> make_litert(const std::string& library, const std::string& delegate, unsigned threads) {
  return std::make_unique<LiteRt>(library, delegate, threads);
}

}  // namespace hwbench
