"""Measuring runs: from a run or a folder of images to a record."""
