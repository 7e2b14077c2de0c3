#include "engines/executorch_tracer.h"

#include <executorch/runtime/platform/platform.h>

#include <algorithm>
#include <string>

namespace hwbench {

namespace {

constexpr int kOperator = 2, kDelegated = 8, kOther = 0;

double microseconds(et_timestamp_t ticks) {
  const et_tick_ratio_t ratio = et_pal_ticks_to_ns_multiplier();
  return static_cast<double>(ticks) * static_cast<double>(ratio.numerator) / static_cast<double>(ratio.denominator) /
         1000.0;
}

bool begins_with(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

}  // namespace

void Tracer::begin() {
  events_.clear();
  tracing_ = true;
}

std::vector<OpEvent> Tracer::end() {
  tracing_ = false;
  return std::move(events_);
}

runtime::EventTracerEntry Tracer::open(const char* name, int kind, std::int64_t node) {
  runtime::EventTracerEntry entry{};
  entry.event_id = -1;
  entry.start_time = et_pal_current_ticks();
  if (tracing_) {
    entry.event_id = static_cast<std::int64_t>(events_.size());
    events_.push_back({name != nullptr ? name : "", kind, microseconds(entry.start_time), 0.0, node, 0});
  }
  return entry;
}

void Tracer::close(const runtime::EventTracerEntry& entry) {
  const et_timestamp_t now = et_pal_current_ticks();
  if (tracing_ && entry.event_id >= 0 && static_cast<std::size_t>(entry.event_id) < events_.size()) {
    events_[static_cast<std::size_t>(entry.event_id)].elapsed_us = microseconds(now - entry.start_time);
  }
}

void Tracer::create_event_block(const char*) {}

runtime::EventTracerEntry Tracer::start_profiling(const char* name, runtime::ChainID, runtime::DebugHandle handle) {
  const std::string tag = name != nullptr ? name : "";
  // The runtime wraps a kernel's own event, native_call_NAME, in OPERATOR_CALL, and all of it in Method::execute.
  const bool own = begins_with(tag, "native_call_") || tag == "DELEGATE_CALL";
  return open(name, own ? kOperator : kOther, static_cast<std::int64_t>(handle));
}

void Tracer::end_profiling(runtime::EventTracerEntry entry) { close(entry); }

runtime::EventTracerEntry Tracer::start_profiling_delegate(const char* name, runtime::DelegateDebugIntId index) {
  return open(name, kDelegated, static_cast<std::int64_t>(index));
}

void Tracer::end_profiling_delegate(runtime::EventTracerEntry entry, const void*, std::size_t) { close(entry); }

void Tracer::log_profiling_delegate(const char* name, runtime::DelegateDebugIntId index, et_timestamp_t start,
                                    et_timestamp_t end, const void*, std::size_t) {
  if (tracing_) {
    events_.push_back({name != nullptr ? name : "", kDelegated, microseconds(start), microseconds(end - start),
                       static_cast<std::int64_t>(index), 0});
  }
}

void Tracer::track_allocation(runtime::AllocatorID, std::size_t) {}
runtime::AllocatorID Tracer::track_allocator(const char*) { return 0; }
runtime::Result<bool> Tracer::log_evalue(const runtime::EValue&, runtime::LoggedEValueType) { return false; }
runtime::Result<bool> Tracer::log_intermediate_output_delegate(const char*, runtime::DelegateDebugIntId,
                                                               const executorch::aten::Tensor&) {
  return false;
}
runtime::Result<bool> Tracer::log_intermediate_output_delegate(const char*, runtime::DelegateDebugIntId,
                                                               const runtime::ArrayRef<executorch::aten::Tensor>) {
  return false;
}
runtime::Result<bool> Tracer::log_intermediate_output_delegate(const char*, runtime::DelegateDebugIntId, const int&) {
  return false;
}
runtime::Result<bool> Tracer::log_intermediate_output_delegate(const char*, runtime::DelegateDebugIntId, const bool&) {
  return false;
}
runtime::Result<bool> Tracer::log_intermediate_output_delegate(const char*, runtime::DelegateDebugIntId,
                                                               const double&) {
  return false;
}
void Tracer::set_delegation_intermediate_output_filter(runtime::EventTracerFilterBase*) {}

}  // namespace hwbench
