"""The chunks of PNG files (ISO/IEC 15948): a picture without the metadata that keep Pillow from reading it."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEPT = {b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT"}
"""Ancillary chunks that change what is seen."""
LARGEST = 2**24
"""Bytes of the largest profile that is unpacked."""


def pixels_only(data: bytes) -> tuple[bytes, bytes | None]:
    """A PNG without its text and other metadata, which may be damaged or very large, and its ICC profile, if readable.

    Critical chunks are kept as they are. Any other file is returned unchanged.
    """
    if not data.startswith(SIGNATURE):
        return data, None
    kept, profile, at = [SIGNATURE], None, len(SIGNATURE)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        chunk, at = data[at : at + length + 12], at + length + 12
        if name == b"iCCP":
            profile = _profile(chunk[8:-4])
        elif name[:1].isupper() or (name in KEPT and zlib.crc32(chunk[4:-4]).to_bytes(4) == chunk[-4:]):
            kept.append(chunk)
    return b"".join(kept), profile


def _profile(chunk: bytes) -> bytes | None:
    """The profile in an iCCP chunk: after its name, a zero and the method of compression."""
    packed = chunk[chunk.find(b"\0") + 2 :]
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed, LARGEST)
    except zlib.error:
        return None
    return profile if unpacker.eof else None
