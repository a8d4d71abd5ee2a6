"""Text: encoders of prompts, and the grammar that weights their words."""
