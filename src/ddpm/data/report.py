"""Surveys as text."""

import re
from collections import Counter
from collections.abc import Sequence
from statistics import median_low

from ddpm.data.source import Source
from ddpm.data.survey import Survey
from ddpm.system.filenames import nfc
from ddpm.system.names import shortened
from ddpm.system.units import say_count, say_some

FEW = 1000
"""The number of images below which a model tends to memorise them."""

DARK = 2**14 - 1
"""The largest 16-bit value up to which images count as stored in fewer bits."""

WORD = re.compile(r"\w+(?:['’-]\w+)*")
READ = 2**17
"""The most images whose captions are counted, evenly spread."""
MOST = 10
"""The number of frequent words to name."""


def describe(source: Source, found: Survey) -> list[str]:
    """Lines that describe a source; a line that would be empty is left out."""
    sizes = [f"{n:,} of {h} × {w}" for (h, w), n in found.sizes.items()]
    modes = [f"{n:,} {mode}" for mode, n in found.modes.items()]
    stored = "" if set(found.stored) == set(found.modes) else f" (in the files: {', '.join(found.stored)})"
    lines = [
        f"images    {found.images:,} valid, {len(found.bad):,} unusable",
        f"sizes     {say_some(sizes)} (height × width)",
        f"modes     {say_some(modes)}{stored}",
    ]
    if found.classes:
        counts = [f"{shortened(name)} {n:,}" for name, n in found.classes.items()]
        lines.append(f"classes   {len(counts)}: {say_some(counts, 12)}")
    if found.captions:
        n = len(source)
        some = (source.items[i] for i in range(0, n, -(-n // READ)))
        strings = [item.caption for item in some if item.caption and item.name not in found.bad]
        captions = [caption for string in strings for caption in string.split("\n")]
        of = f"on {found.captions:,} of {found.images:,} images"
        if n > READ:
            of = f"on {len(strings):,} of the {found.captions:,} images with captions"
        lines.append(f"captions  {len(captions):,} {of}, {len(set(captions)):,} distinct")
        lines += wording(captions)
    odd = {
        "animated (first frame used)": found.animated,
        "rotated upright by EXIF": found.turned,
        "16-bit (scaled to 8)": found.deep,
        "converted to sRGB from the space of their colour profile": found.recoloured,
        "with a colour profile that cannot be used (ignored)": found.odd_profiles,
        "too large to decode whole (read at a fraction of their size)": found.reduced,
        "identical to an earlier one": found.duplicates,
    }
    if any(odd.values()):
        lines.append("of these  " + ", ".join(f"{n:,} {what}" for what, n in odd.items() if n))
    return lines


def wording(captions: Sequence[str]) -> list[str]:
    """Lines about the lengths of captions and their most frequent words."""
    lengths, counts = list[int](), Counter[str]()
    for caption in captions:
        words = WORD.findall(nfc(caption).casefold())
        lengths.append(len(words))
        counts.update(words)
    if not counts:
        return []
    frequent = ", ".join(f"{word} {n:,}" for word, n in counts.most_common(MOST))
    return [
        f"          {say_count(median_low(lengths), 'word')} at the median, {max(lengths):,} at most",
        f"          most frequent: {frequent}",
    ]


def warnings(found: Survey) -> list[str]:
    """Warnings to show before training."""
    lists = {
        "unusable": [f"{name} ({reason})" for name, reason in found.examples],
        "without a caption": found.uncaptioned,
        "captions without an image": found.orphans,
        "ignored files": found.ignored,
    }
    numbers = {what: len(names) for what, names in lists.items()} | {"without a caption": found.images - found.captions}
    lines = [f"{numbers[what]:,} {what}: {say_some(names, of=numbers[what])}" for what, names in lists.items() if names]
    lines += found.notes
    if empty := [shortened(name) for name, n in found.classes.items() if not n]:
        lines.append(f"{say_count(len(empty), 'class', 'classes')} without an image: {say_some(empty)}")
    if 0 < found.peak <= DARK:
        bits = found.peak.bit_length()
        lines.append(
            f"16-bit values reach only {found.peak:,} of 65,535 ({bits} bits), so the images are nearly black; "
            f"multiply the values by {65535 // (2**bits - 1)} and save them again"
        )
    if found.images < FEW:
        lines.append(f"only {found.images:,} images: a model trained for long will memorise them")
    return lines
