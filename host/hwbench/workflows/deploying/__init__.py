"""A trained network on the device: model files, checked and timed."""
