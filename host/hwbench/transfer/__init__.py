"""To a device that was hardly measured."""
