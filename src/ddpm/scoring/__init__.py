"""From a run or a folder of images to a score."""
