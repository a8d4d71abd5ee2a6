"""A run's classifier of noised images: how it is planned, loaded and measured."""
