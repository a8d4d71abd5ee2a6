"""Whether features rank images as they should."""
