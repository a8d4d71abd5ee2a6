"""Evaluate runs and folders of images, and record the results."""
