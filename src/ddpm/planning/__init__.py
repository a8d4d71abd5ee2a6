"""Turning a user's request into a run with every setting resolved."""
