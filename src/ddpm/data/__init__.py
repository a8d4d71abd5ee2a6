"""Data loading: from a folder, an archive or arrays to batches of 8-bit images.

``open_source`` lists the images, ``survey`` checks each of them, ``prepare`` stores them decoded in one size and mode
as a ``Dataset``, and ``Batches`` reads that in an order determined by the seed.

Nothing is imported here: the decoding processes do not need torch, and start ten times as fast without it.
"""
