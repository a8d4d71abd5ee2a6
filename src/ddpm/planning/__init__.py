"""From what a user asks for to a run whose every setting is resolved."""
