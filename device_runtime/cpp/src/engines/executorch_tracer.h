// Collects ExecuTorch's profiling events in memory: the same ones that an ETDump file would hold.
#pragma once

#include <executorch/runtime/core/event_tracer.h>

#include <vector>

#include "engines/engine.h"

namespace hwbench {

namespace runtime = executorch::runtime;

class Tracer final : public runtime::EventTracer {
 public:
  void begin();
  std::vector<OpEvent> end();

  void create_event_block(const char* name) override;
  runtime::EventTracerEntry start_profiling(const char* name, runtime::ChainID chain,
                                            runtime::DebugHandle handle) override;
  void end_profiling(runtime::EventTracerEntry entry) override;
  runtime::EventTracerEntry start_profiling_delegate(const char* name, runtime::DelegateDebugIntId index) override;
  void end_profiling_delegate(runtime::EventTracerEntry entry, const void* metadata, std::size_t size) override;
  void log_profiling_delegate(const char* name, runtime::DelegateDebugIntId index, et_timestamp_t start,
                              et_timestamp_t end, const void* metadata, std::size_t size) override;
  void track_allocation(runtime::AllocatorID id, std::size_t size) override;
  runtime::AllocatorID track_allocator(const char* name) override;
  runtime::Result<bool> log_evalue(const runtime::EValue& value, runtime::LoggedEValueType type) override;
  runtime::Result<bool> log_intermediate_output_delegate(const char* name, runtime::DelegateDebugIntId index,
                                                         const executorch::aten::Tensor& output) override;
  runtime::Result<bool> log_intermediate_output_delegate(
      const char* name, runtime::DelegateDebugIntId index,
      const runtime::ArrayRef<executorch::aten::Tensor> output) override;
  runtime::Result<bool> log_intermediate_output_delegate(const char* name, runtime::DelegateDebugIntId index,
                                                         const int& output) override;
  runtime::Result<bool> log_intermediate_output_delegate(const char* name, runtime::DelegateDebugIntId index,
                                                         const bool& output) override;
  runtime::Result<bool> log_intermediate_output_delegate(const char* name, runtime::DelegateDebugIntId index,
                                                         const double& output) override;
  void set_delegation_intermediate_output_filter(runtime::EventTracerFilterBase* filter) override;

 private:
  runtime::EventTracerEntry open(const char* name, int kind, std::int64_t node);
  void close(const runtime::EventTracerEntry& entry);

  bool tracing_ = false;
  std::vector<OpEvent> events_;
};

}  // namespace hwbench
