"""A quick look at a source by file headers, to choose a size before decoding anything."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from ddpm.data.arrays import ArrayReader
from ddpm.data.source import Reader, Source
from ddpm.data.survey import one_mode
from ddpm.images.decode import BadImage, Header, header
from ddpm.system.names import Mode

THREADS = 8


class Peek(NamedTuple):
    """Counts over the images with readable headers, most frequent first.

    Attributes:
        sizes: The count of each (H, W), after EXIF rotation.
        modes: The count of each of L, RGB and RGBA.
    """

    sizes: dict[tuple[int, int], int]
    modes: dict[Mode, int]

    def mode(self, choice: Mode | None = None) -> Mode:
        """See :func:`one_mode`."""
        return one_mode(self.modes, choice)


def peek(source: Source) -> Peek:
    """Read the headers of all images, which may differ from the decoded image if a file is damaged."""
    if isinstance(source.reader, ArrayReader):
        seen = [header(source.reader.read(source.items[0].name))] * len(source)
    else:
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(partial(_header, source.reader), (item.name for item in source.items))
            seen = [one for one in found if one is not None]
    sizes = Counter(one.size for one in seen).most_common()
    return Peek(dict(sizes), dict(Counter(one.mode for one in seen).most_common()))


def _header(reader: Reader, name: str) -> Header | None:
    try:
        return header(reader.read(name))
    except (BadImage, OSError):
        return None
