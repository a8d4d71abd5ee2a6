"""Foundations for all other packages: errors, files, the cache, devices, units of measurement."""
