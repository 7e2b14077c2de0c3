#!/bin/sh
# What the tests need beyond Python packages: headless Chromium, which opens the reports; compilers for this machine
# and for aarch64, which build the native runner; the emulator that runs the latter's result;
# and the images of Fashion-MNIST, which the search is tried on.
set -eu
packages=""
need() { # program package...
    program=$1
    shift
    command -v "$program" >/dev/null 2>&1 || packages="$packages $*"
}
need chromium chromium
need cmake cmake
need ninja ninja-build
need g++ g++
need aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
need qemu-aarch64-static qemu-user-static
[ -e /usr/share/datasets/fashion-mnist ] || packages="$packages dataset-fashion-mnist"
[ -e /usr/include/nlohmann/json.hpp ] || packages="$packages nlohmann-json3-dev"
if [ -z "$packages" ]; then exit 0; fi
if [ "$(id -u)" = 0 ]; then run=""; elif command -v sudo >/dev/null 2>&1; then run="sudo"; else
    echo "no root and no sudo: tests that need$packages will be skipped" >&2
    exit 0
fi
$run apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq --no-install-recommends $packages >/dev/null
