"""New pictures from given ones: what a trained model does beyond drawing samples."""
