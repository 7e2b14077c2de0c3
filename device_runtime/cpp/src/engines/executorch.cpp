// ExecuTorch through the C++ SDK of its wheel (executorch 1.5.1).
#include <executorch/extension/module/module.h>

#include <cstring>

#include "engines/engine.h"
#include "engines/executorch_tracer.h"

namespace executorch::extension::threadpool {

// Exported by libexecutorch_threadpool.so; its header is not in the wheel.
class ThreadPool {
 public:
  bool _unsafe_reset_threadpool(std::uint32_t threads);
  std::size_t get_thread_count() const;
};
ThreadPool* get_threadpool();

}  // namespace executorch::extension::threadpool

namespace hwbench {

namespace {

using executorch::aten::ScalarType;
using executorch::aten::TensorImpl;
using executorch::extension::Module;
using runtime::Error;
using runtime::EValue;

void expect(Error error, const char* what) {
  if (error != Error::Ok) {
    throw EngineError(std::string(what) + " failed with ExecuTorch error " + std::to_string(static_cast<int>(error)));
  }
}

ElementType element_type(ScalarType type) {
  switch (type) {
    case ScalarType::Float:
      return ElementType::Float32;
    case ScalarType::Char:
      return ElementType::Int8;
    case ScalarType::Byte:
      return ElementType::UInt8;
    case ScalarType::Short:
      return ElementType::Int16;
    case ScalarType::Int:
      return ElementType::Int32;
    case ScalarType::Long:
      return ElementType::Int64;
    default:
      throw EngineError("the model has a tensor of scalar type " + std::to_string(static_cast<int>(type)) +
                        ", which is not measured");
  }
}

/// The storage of one input tensor in the shape and dimension order that the model asks for.
struct Input {
  std::vector<std::uint8_t> data;
  std::vector<TensorImpl::SizesType> sizes;
  std::vector<TensorImpl::DimOrderType> order;
  std::vector<TensorImpl::StridesType> strides;
  std::unique_ptr<TensorImpl> tensor;
};

class ExecutorchModel final : public ProfiledModel {
 public:
  ExecutorchModel(const std::string& path, std::unique_ptr<Tracer> tracer)
      : tracer_(tracer.get()), module_(path, Module::LoadMode::File, std::move(tracer)) {
    expect(module_.load(runtime::Program::Verification::InternalConsistency), "loading the program");
    expect(module_.load_method("forward", nullptr, tracer_), "loading the method forward");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    // Module::execute would feed the inputs anew within the time that is taken.
    const auto method = module_.method("forward");
#pragma GCC diagnostic pop
    expect(method.error(), "finding the method forward");
    method_ = *method;
    const auto meta = module_.method_meta("forward");
    expect(meta.error(), "reading the method's meta data");
    for (std::size_t i = 0; i < meta->num_inputs(); ++i) {
      const auto info = meta->input_tensor_meta(i);
      expect(info.error(), "reading the meta data of an input");
      add_input(*info);
      inputs_.back().scale = constant("input" + std::to_string(i) + "_scale");
      inputs_.back().zero_point = static_cast<std::int64_t>(constant("input" + std::to_string(i) + "_zp"));
    }
    for (std::size_t i = 0; i < meta->num_outputs(); ++i) {
      const auto info = meta->output_tensor_meta(i);
      expect(info.error(), "reading the meta data of an output");
      outputs_.push_back(spec(*info));
    }
  }

  const std::vector<TensorSpec>& inputs() const override { return inputs_; }
  const std::vector<TensorSpec>& outputs() const override { return outputs_; }

  void feed(std::size_t index, const void* data) override {
    Input& input = storage_[index];
    std::memcpy(input.data.data(), data, input.data.size());
    // Copies into the memory that was planned for the input.
    expect(method_->set_input(EValue(executorch::aten::Tensor(input.tensor.get())), index), "setting an input");
  }

  bool invoke() override { return method_->execute() == Error::Ok; }

  const void* output(std::size_t index) override {
    const auto& tensor = method_->get_output(index).toTensor();
    if (static_cast<std::size_t>(tensor.numel()) != outputs_[index].size) {
      throw EngineError("an output has another size than the method's meta data says");
    }
    return tensor.const_data_ptr();
  }

  void start() override { tracer_->begin(); }
  std::vector<OpEvent> stop() override { return tracer_->end(); }

 private:
  static TensorSpec spec(const runtime::TensorInfo& info) {
    TensorSpec found{element_type(info.scalar_type()), 1};
    for (const auto size : info.sizes()) {
      found.size *= static_cast<std::size_t>(size);
    }
    return found;
  }

  /// What a constant method of the program answers, such as the scale of an integer input; 0 without it.
  double constant(const std::string& name) {
    const auto names = module_.method_names();
    if (!names.ok() || names->count(name) == 0) {
      return 0.0;
    }
    const auto value = module_.get(name, std::vector<EValue>{});
    expect(value.error(), name.c_str());
    return value->isDouble() ? value->toDouble() : static_cast<double>(value->toInt());
  }

  void add_input(const runtime::TensorInfo& info) {
    inputs_.push_back(spec(info));
    Input input;
    input.sizes.assign(info.sizes().begin(), info.sizes().end());
    input.order.assign(info.dim_order().begin(), info.dim_order().end());
    input.strides.resize(input.sizes.size());
    TensorImpl::StridesType stride = 1;
    for (std::size_t i = input.order.size(); i-- > 0;) {
      input.strides[input.order[i]] = stride;
      stride *= input.sizes[input.order[i]];
    }
    input.data.resize(info.nbytes());
    input.tensor = std::make_unique<TensorImpl>(info.scalar_type(), static_cast<ssize_t>(input.sizes.size()),
                                                input.sizes.data(), input.data.data(), input.order.data(),
                                                input.strides.data());
    storage_.push_back(std::move(input));
  }

  Tracer* tracer_;
  Module module_;
  runtime::Method* method_ = nullptr;
  std::vector<Input> storage_;
  std::vector<TensorSpec> inputs_;
  std::vector<TensorSpec> outputs_;
};

class Executorch final : public Engine {
 public:
  explicit Executorch(unsigned threads) {
    auto* pool = executorch::extension::threadpool::get_threadpool();
    if (pool == nullptr) {
      throw EngineError("ExecuTorch has no thread pool");
    }
    if (pool->get_thread_count() != threads && !pool->_unsafe_reset_threadpool(threads)) {
      throw EngineError("ExecuTorch's thread pool does not take " + std::to_string(threads) + " threads");
    }
  }

  std::unique_ptr<Model> load(const std::string& path) override {
    return std::make_unique<ExecutorchModel>(path, nullptr);
  }

  std::unique_ptr<ProfiledModel> load_profiled(const std::string& path) override {
    return std::make_unique<ExecutorchModel>(path, std::make_unique<Tracer>());
  }
};

}  // namespace

}  // namespace hwbench

extern "C" __attribute__((visibility("default"))) hwbench::Engine* hwbench_make_executorch(unsigned threads) {
  return new hwbench::Executorch(threads);
}
