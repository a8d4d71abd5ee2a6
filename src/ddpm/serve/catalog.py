"""The runs that are served, loaded on demand."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.system.names import listed, suggest

Stamp = tuple[tuple[int, int] | None, ...]
"""The times and sizes of the files that a run is loaded from."""


@dataclass
class Loaded:
    """A run in memory.

    Attributes:
        stamp: the times and sizes of its files.
        run: as loaded.
        run: with what the latest request needed as well, such as an earlier version to guide away from.
    """

    stamp: Stamp
    run: LoadedRun

    @property
    def bytes(self) -> int:
        """The memory of the weights."""
        return sum(p.numel() * p.element_size() for p in self.run.engine.model.parameters())


class Catalog:
    """Runs by name. The least recently used are dropped from memory when their weights exceed a limit.

    A run that was trained further is loaded again at the next request.

    Args:
        places: run folders, and folders of runs, in which new ones are found as well.
        limit: the bytes of weights to keep in memory; the run in use is always kept.
        device: as for :func:`ddpm.load`.

    Raises:
        InputError: a place is neither, or two runs have the same name.
    """

    def __init__(self, places: Iterable[Path], limit: int, device: str | None = None) -> None:
        self.places = [place.absolute() for place in places]
        self.limit, self.device = limit, device
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._lock = threading.RLock()
        for place in self.places:
            if not place.is_dir():
                raise InputError("missing", f"{place} is not a folder; use run folders, or a folder of them")
        self.folders()

    def folders(self) -> dict[str, RunFolder]:
        """The folders of the runs that can be sampled, by name.

        Raises:
            InputError: two have the same name.
        """
        found: dict[str, RunFolder] = {}
        for place in self.places:
            own = RunFolder(place).config_file.exists()
            below = [place] if own else sorted(path for path in place.iterdir() if path.is_dir())
            for path in below:
                folder = RunFolder(path)
                if not folder.config_file.exists() or not folder.weights_file.exists() or folder.is_autoencoder:
                    continue
                if path.name in found:
                    raise InputError(
                        "conflict", f"{found[path.name].path} and {path} have the same name; rename one, or serve one"
                    )
                found[path.name] = folder
        return found

    def get(self, name: str) -> Loaded:
        """A run by name, loaded if necessary.

        Raises:
            InputError: there is none, or its files are damaged.
        """
        folders = self.folders()
        if name not in folders:
            known = listed(tuple(folders)) if folders else "none"
            raise InputError("unknown", f"unknown run {name!r}{suggest(name, list(folders))}; the runs are {known}")
        folder = folders[name]
        with self._lock:
            stamp = _stamp(folder)
            found = self._loaded.get(name)
            if found is None or found.stamp != stamp:
                found = self._loaded[name] = Loaded(stamp, load(folder.path, self.device))
            self._loaded.move_to_end(name)
            while len(self._loaded) > 1 and sum(one.bytes for one in self._loaded.values()) > self.limit:
                self._loaded.popitem(last=False)
            return found

    def names(self) -> tuple[str, ...]:
        """The names of the runs in memory, the most recently used last."""
        with self._lock:
            return tuple(self._loaded)


def _stamp(folder: RunFolder) -> Stamp:
    files = (folder.config_file, folder.weights_file, folder.guidance_file, folder.tuned_file)
    return tuple((s.st_mtime_ns, s.st_size) if path.exists() and (s := path.stat()) else None for path in files)
