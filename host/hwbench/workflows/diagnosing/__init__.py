"""What works on this machine and its devices, and what to do about what does not."""
