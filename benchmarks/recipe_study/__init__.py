"""Recipes that train for the same time, and the quality of their samples."""
