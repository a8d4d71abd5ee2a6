"""Messages for clients, without paths of this machine."""

import re
from pathlib import Path

from ddpm.serve.catalog import Catalog

ABSOLUTE = re.compile(r"(?<![\w.])/(?:[\w.@+-]+/)+([\w.@+-]+)")
"""An absolute path, of which the last part is kept."""


def without_paths(message: str) -> str:
    """A message in which only the last part of any absolute path remains."""
    return ABSOLUTE.sub(r"\1", message)


class Words:
    """Rewrites messages: a run is called by its name, and of any other path the last part remains."""

    def __init__(self, catalog: Catalog, folder: Path) -> None:
        self.catalog, self.folder = catalog, folder

    def plain(self, message: str) -> str:
        """A message without paths of this machine."""
        for name, run in self.catalog.folders().items():
            message = message.replace(str(run.path), name)
        return without_paths(message.replace(str(self.folder.absolute()), "the server"))
