"""Published figures beside computed ones."""
