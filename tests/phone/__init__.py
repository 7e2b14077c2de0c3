"""A virtual phone: a device daemon that speaks ADB, in front of a root file system that runs aarch64 programs.

The real adb, Debian's or the one in adbutils, connects to it over TCP. The shell is mksh, the tools are toybox, both
for aarch64; qemu runs them, and what is pushed, by the kernel's binfmt_misc. There is no glibc and no Python in it.
Mounts, users and processes are the kernel's own, in namespaces, so most refusals are real ones. It needs root.

Tests in this folder ask for `phone` (one that is on and connected), `phones` (makes more, of other models, with faults)
and `adb_server`. What differs from a phone: it is listed as host and port and stays listed when it is gone; a shell
has no terminal; `QEMU_CPU` is in its environment, and `env -i` keeps it;
/proc/PID/cmdline begins with qemu's path; times, memory and load are this computer's.
"""
