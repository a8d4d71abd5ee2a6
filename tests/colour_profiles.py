"""The smallest ICC profiles (ICC.1:2001-04) of a few colour spaces, and their formulas."""

import struct
from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# XYZ of red, green and blue, adapted to the white D50 of profiles; columns are colours
ADOBE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
WHITE = (0.9642, 1.0, 0.8249)
GAMMA = 563 / 256
"""Of Adobe RGB (1998)."""


def rgb_profile(colours: Floats = ADOBE, gamma: float = GAMMA) -> bytes:
    """A space of these primaries with a power as its transfer function."""
    tags = {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colours.T, strict=True)}
    return _profile(b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma)))


def grey_profile(gamma: float) -> bytes:
    return _profile(b"GRAY", b"XYZ ", {b"kTRC": _curve(gamma)})


def cmyk_profile() -> bytes:
    """A space whose inks darken from white to black in proportion, whatever their colour: L = 100 (1 - max(inks))."""
    # corners of the table by (c, m, y, k): Lab in 8 bits; without ink white, else black
    corners = [(0 if any(inks) else 255, 128, 128) for inks in product((0, 1), repeat=4)]
    ramp = bytes(range(256))
    head = (
        b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    )
    table = head + ramp * 4 + bytes(np.array(corners, np.uint8).tobytes()) + ramp * 3
    return _profile(b"CMYK", b"Lab ", {b"A2B0": table, b"A2B1": table}, kind=b"prtr")


def adobe_to_srgb(values: Floats) -> Floats:
    """Colours (…, 3) of 0 … 1 from Adobe RGB to sRGB, clipped to its gamut (IEC 61966-2-1)."""
    linear = (values**GAMMA) @ (np.linalg.inv(SRGB) @ ADOBE).T
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _profile(space: bytes, connection: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    tags = {b"desc": _text(b"desc"), b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(WHITE)} | tags
    index, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        index += struct.pack(">4sII", name, at + len(body), len(data))
        body += data
    fields = (0x02400000, kind, space, connection, bytes(12), b"acsp")
    head = struct.pack(">I4sI4s4s4s12s4s", at + len(body), bytes(4), *fields)
    white = struct.pack(">3i", *(round(65536 * v) for v in WHITE))
    return (head + bytes(68 - len(head)) + white).ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + body


def _text(kind: bytes) -> bytes:
    return kind + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(4 + 4 + 2 + 1 + 67)


def _xyz(values: Sequence[float] | Floats) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * float(v)) for v in values))


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * gamma)) + bytes(2)
