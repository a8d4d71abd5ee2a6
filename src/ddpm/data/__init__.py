"""From a folder, an archive or arrays to batches of 8-bit images.

The way: ``open_source`` lists the images, ``survey`` looks at each of them, ``prepare`` stores them decoded in one
size and mode as a ``Dataset``, and ``Batches`` reads that in an order which is a function of the seed.

Nothing is imported here: the processes that decode images need no torch, and start ten times as fast without.
"""
