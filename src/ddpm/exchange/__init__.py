"""Exchange of models with other programs."""
