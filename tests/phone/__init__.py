"""A virtual phone: a device daemon that speaks ADB, in front of a root file system that runs aarch64 programs."""
