"""Exchange of models with diffusers, in the format of its files; the package itself is not needed."""
