"""Tar files of images for tests."""

import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path


def tar(path: Path, files: Mapping[str, bytes | str]) -> Path:
    """A .tar of these files, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, BytesIO(data))
    return path
