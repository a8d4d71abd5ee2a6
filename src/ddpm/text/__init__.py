"""Text: encoders of prompts, and the grammar that weighs their words."""
