#include "manifest.h"

#include <climits>
#include <fstream>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "engines/engine.h"

namespace hwbench {

namespace {

/// The folder of the running program; through its own loader, that is the loader's folder, which is the same.
std::string program_folder() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length <= 0 || length >= static_cast<ssize_t>(sizeof path)) {
    throw EngineError("the runner's own folder is unknown: /proc/self/exe cannot be read");
  }
  const std::string whole(path, static_cast<std::size_t>(length));
  return whole.substr(0, whole.rfind('/'));
}

}  // namespace

Manifest read_manifest() {
  Manifest manifest;
  manifest.folder = program_folder();
  const std::string path = manifest.folder + "/manifest.json";
  std::ifstream file(path);
  try {
    const auto json = nlohmann::json::parse(file);
    for (const auto& [name, engine] : json.at("content").at("engines").items()) {
      manifest.engines[name] = {engine.at("package"), engine.at("version"), engine.at("library"), engine.at("sha256")};
    }
  } catch (const nlohmann::json::exception& error) {
    throw EngineError(path + " cannot be read: " + error.what());
  }
  return manifest;
}

}  // namespace hwbench
