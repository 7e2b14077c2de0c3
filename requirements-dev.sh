#!/bin/sh
# What the tests need beyond Python packages: headless Chromium, which opens the reports; compilers for this machine
# and for aarch64, which build the native runner; the emulator that runs the latter's result, on its own and as the
# kernel's interpreter in the virtual phone's root file system; adb; an SSH server, which plays a board; and the shells
# that the scripts for phones are tried with; and the images of Fashion-MNIST, which the search is tried on.
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
need /usr/sbin/update-binfmts binfmt-support
need adb adb
need ssh openssh-client
need /usr/sbin/sshd openssh-server
need mksh mksh
need busybox busybox
need shellcheck shellcheck
need make make
[ -e /usr/share/datasets/fashion-mnist ] || packages="$packages dataset-fashion-mnist"
[ -e /usr/include/nlohmann/json.hpp ] || packages="$packages nlohmann-json3-dev"
binfmt=/proc/sys/fs/binfmt_misc
if [ -z "$packages" ] && [ -e $binfmt/qemu-aarch64 ]; then exit 0; fi
if [ "$(id -u)" = 0 ]; then run=""; elif command -v sudo >/dev/null 2>&1; then run="sudo"; else
    echo "no root and no sudo: tests that need a virtual phone${packages:+ or}$packages will be skipped" >&2
    exit 0
fi
if [ -n "$packages" ]; then
    $run apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq --no-install-recommends $packages >/dev/null
fi
# A container may not be allowed to; then the tests of the virtual phone say so.
[ -e $binfmt/status ] || $run mount -t binfmt_misc binfmt_misc $binfmt 2>/dev/null || true
[ -e $binfmt/qemu-aarch64 ] || $run update-binfmts --enable qemu-aarch64 2>/dev/null || true
