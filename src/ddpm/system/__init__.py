"""What the rest stands on: errors, files, the cache, devices, units of measurement."""
