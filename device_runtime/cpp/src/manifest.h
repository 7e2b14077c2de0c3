// manifest.json beside the runner: which engine libraries belong to it, at which version and with which hash.
#pragma once

#include <map>
#include <string>

namespace hwbench {

struct EngineLibrary {
  std::string package;
  std::string version;
  std::string library;
  std::string sha256;
};

struct Manifest {
  std::string folder;
  std::map<std::string, EngineLibrary> engines;
};

/// The manifest in the folder of this program. Throws EngineError.
Manifest read_manifest();

}  // namespace hwbench
