"""A predictor of a hardly measured device, from a pool of known ones."""
