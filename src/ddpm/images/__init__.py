"""Pictures: decoding, geometry, bit depth, contact sheets."""
