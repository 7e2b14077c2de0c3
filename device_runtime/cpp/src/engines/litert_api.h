// The part of LiteRT's C interface that the runner calls, as exported by libLiteRt.so of ai-edge-litert 2.3.0.
// The wheel has no headers and the interface changes between releases: the manifest pins the library by its hash.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hwbench::litert {

using Status = int;
using Handle = void*;
using Index = std::size_t;

constexpr Status kOk = 0;
constexpr int kCpu = 1;
constexpr int kPerTensor = 1;
constexpr std::size_t kAlignment = 64;

enum ElementType { kFloat32 = 1, kInt32 = 2, kUInt8 = 3, kInt64 = 4, kInt16 = 7, kInt8 = 9 };

struct Layout {
  std::uint32_t rank : 7;
  std::uint32_t has_strides : 1;
  std::int32_t dimensions[8];
  std::uint32_t strides[8];
};

struct TensorType {
  int element_type;
  Layout layout;
};

struct PerTensorQuantization {
  float scale;
  std::int64_t zero_point;
};

struct ProfilerEvent {
  const char* tag;
  int type;
  std::uint64_t start_us;
  std::uint64_t elapsed_us;
  std::int64_t begin_memory[3];
  std::int64_t end_memory[3];
  std::uint64_t metadata_1;
  std::uint64_t metadata_2;
  int source;
};
static_assert(sizeof(void*) != 8 || sizeof(ProfilerEvent) == 104, "the library's events have 104 bytes");

/// Every function by its name in the library.
struct Api {
  Status (*CreateEnvironment)(int, const void*, Handle*);
  void (*DestroyEnvironment)(Handle);
  Status (*CreateModelFromFile)(Handle, const char*, Handle*);
  void (*DestroyModel)(Handle);
  Status (*CreateOptions)(Handle*);
  void (*DestroyOptions)(Handle);
  Status (*SetOptionsHardwareAccelerators)(Handle, int);
  Status (*CreateOpaqueOptions)(const char*, void*, void (*)(void*), Handle*);
  Status (*AddOpaqueOptions)(Handle, Handle);
  Status (*CreateCompiledModel)(Handle, Handle, Handle, Handle*);
  void (*DestroyCompiledModel)(Handle);
  Status (*GetModelSignature)(Handle, Index, Handle*);
  Status (*GetNumSignatureInputs)(Handle, Index*);
  Status (*GetNumSignatureOutputs)(Handle, Index*);
  Status (*GetSignatureInputTensorByIndex)(Handle, Index, Handle*);
  Status (*GetSignatureOutputTensorByIndex)(Handle, Index, Handle*);
  Status (*GetRankedTensorType)(Handle, TensorType*);
  Status (*GetQuantizationTypeId)(Handle, int*);
  Status (*GetPerTensorQuantization)(Handle, PerTensorQuantization*);
  Status (*GetCompiledModelInputBufferRequirements)(Handle, Index, Index, Handle*);
  Status (*GetCompiledModelOutputBufferRequirements)(Handle, Index, Index, Handle*);
  Status (*GetTensorBufferRequirementsBufferSize)(Handle, std::size_t*);
  Status (*CreateTensorBufferFromHostMemory)(const TensorType*, void*, std::size_t, void (*)(void*), Handle*);
  void (*DestroyTensorBuffer)(Handle);
  Status (*RunCompiledModel)(Handle, Index, std::size_t, Handle*, std::size_t, Handle*);
  Status (*CompiledModelGetProfiler)(Handle, Handle*);
  Status (*StartProfiler)(Handle);
  Status (*StopProfiler)(Handle);
  Status (*GetNumProfilerEvents)(Handle, int*);
  Status (*GetProfilerEvents)(Handle, int, ProfilerEvent*);
};

}  // namespace hwbench::litert
