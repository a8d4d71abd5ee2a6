"""Messages for clients, without paths of this machine."""

import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import ddpm
from ddpm.serve.catalog import Catalog
from ddpm.system.files import with_home

QUOTED = re.compile(r"""(['"])(?:~[\w.-]*)?/(?:[^'"/\n]+/)*([^'"/\n]+)\1""")
"""An absolute path in quotation marks, of which the last part is kept."""
ABSOLUTE = re.compile(r"(?:(?<=file://)|(?<![\w./<~\0]))(?:~[\w.-]*)?/(?!/)(?:[^\s/]+/)*([^\s/]+)")
"""An absolute path without spaces, of which the last part is kept."""
HIDDEN = "/-"
"""Stands for a folder whose own name is hidden, too."""


def without_paths(messages: Iterable[str], known: Iterable[tuple[Path, str]] = ()) -> list[str]:
    """Messages in which only the last part of any absolute path remains.

    Args:
        known: folders and what to call them; their paths, and those of the folders above them, may have spaces.
    """
    paths = [(path, name) for folder, name in known for path in (folder.absolute(), folder.resolve())]
    called = {str(above): HIDDEN for path, _ in paths for above in path.parents}
    called |= {str(path): name if name == HIDDEN else name + "\0" for path, name in paths}  # \0: no path follows
    called.pop("/", None)
    longest_first = "|".join(map(re.escape, sorted(called, key=len, reverse=True))) or "(?!)"
    folders = re.compile(rf"(?<![\w./])(?:{longest_first})(?![\w.-])")

    def plain(message: str) -> str:
        message = folders.sub(lambda found: called[found[0]], message)
        return ABSOLUTE.sub(r"\1", QUOTED.sub(r"\1\2\1", message)).replace("\0", "")

    return [plain(message) for message in messages]


class Words:
    """Rewrites messages: a run is called by its name, and of any other path only the last part remains.

    Args:
        folder: the folder of the server.
        folders: others that messages may name, and whose paths may have spaces; what is below them remains.
    """

    def __init__(self, catalog: Catalog, folder: Path, folders: Iterable[Path] = ()) -> None:
        self.catalog = catalog
        system = (
            with_home("~"),
            Path.cwd(),
            Path(tempfile.gettempdir()),
            Path(sys.prefix),
            Path(ddpm.__file__).parents[1],
        )
        self._known = [(one, HIDDEN) for one in system]
        self._known += [(one, one.resolve().name) for one in (*catalog.places, *folders)]
        self._known.append((folder, "the server"))

    def plain(self, message: str) -> str:
        """A message without paths of this machine."""
        return self.all_plain([message])[0]

    def all_plain(self, messages: Iterable[str]) -> list[str]:
        """Messages without paths of this machine; the runs are listed once for all of them."""
        runs = [(run.path, name) for name, run in self.catalog.folders().items()]
        return without_paths(messages, [*self._known, *runs])
