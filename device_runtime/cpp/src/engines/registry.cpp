#include "engines/registry.h"

#include <dlfcn.h>

#include "engines/litert.h"
#include "sha256.h"

namespace hwbench {

std::size_t element_bytes(ElementType type) {
  switch (type) {
    case ElementType::Int8:
    case ElementType::UInt8:
      return 1;
    case ElementType::Int16:
      return 2;
    case ElementType::Int64:
      return 8;
    default:
      return 4;
  }
}

const char* element_name(ElementType type) {
  switch (type) {
    case ElementType::Int8:
      return "int8";
    case ElementType::UInt8:
      return "uint8";
    case ElementType::Int16:
      return "int16";
    case ElementType::Int32:
      return "int32";
    case ElementType::Int64:
      return "int64";
    default:
      return "float32";
  }
}

namespace {

std::unique_ptr<Engine> create_litert(const Manifest& manifest, const std::string& delegate, unsigned threads) {
  return make_litert(manifest.folder + "/" + manifest.engines.at("litert").library, delegate, threads);
}

std::unique_ptr<Engine> create_executorch(const Manifest& manifest, const std::string&, unsigned threads) {
  const std::string path = manifest.folder + "/libhwbench-executorch.so";
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw EngineError(dlerror());
  }
  using Make = Engine* (*)(unsigned);
  const auto make = reinterpret_cast<Make>(dlsym(library, "hwbench_make_executorch"));
  if (make == nullptr) {
    throw EngineError(dlerror());
  }
  return std::unique_ptr<Engine>(make(threads));
}

}  // namespace

const std::vector<EngineKind>& engine_kinds() {
  static const std::vector<EngineKind> kinds = {
      {"litert", {"xnnpack", "builtin"}, create_litert},
      // Which kernels run was decided when the model was exported.
      {"executorch", {"xnnpack", "portable"}, create_executorch},
  };
  return kinds;
}

const EngineKind* find_engine(const std::string& name) {
  for (const EngineKind& kind : engine_kinds()) {
    if (name == kind.name) {
      return &kind;
    }
  }
  return nullptr;
}

std::unique_ptr<Engine> open_engine(const EngineKind& kind, const Manifest& manifest, const std::string& delegate,
                                    unsigned threads) {
  const auto entry = manifest.engines.find(kind.name);
  if (entry == manifest.engines.end()) {
    throw EngineError(std::string("the bundle has no ") + kind.name);
  }
  const std::string path = manifest.folder + "/" + entry->second.library;
  const std::string found = file_sha256(path);
  if (found != entry->second.sha256) {
    throw EngineError(path + " is not the library of " + entry->second.package + " " + entry->second.version +
                      ": its sha256 is " + (found.empty() ? "unreadable" : found));
  }
  return kind.create(manifest, delegate, threads);
}

}  // namespace hwbench
