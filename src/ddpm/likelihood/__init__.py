"""How likely a model finds images, in bits per dimension."""
