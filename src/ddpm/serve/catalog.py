"""The runs that are served, loaded on demand."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.system.names import listed, nearest

Stamp = tuple[tuple[int, int] | None, ...]
"""The times and sizes of the files that a run is loaded from."""


@dataclass
class Loaded:
    """A run in memory.

    Attributes:
        stamp: the times and sizes of its files.
        run: the run, with what the latest request needed as well, such as its classifier.
    """

    stamp: Stamp
    run: LoadedRun

    @property
    def bytes(self) -> int:
        """The memory of all weights."""
        run = self.run
        parts = (
            run.engine.model,
            getattr(getattr(run.engine.codec, "trained", None), "net", None),
            getattr(run.text, "net", None),
            None if run.classifier is None else run.classifier.model,
            None if run.weak is None else run.weak[1],
        )
        tensors = (p for part in parts if isinstance(part, nn.Module) for p in part.parameters())
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class Catalog:
    """Runs by name. The least recently used are dropped from memory when their weights exceed a limit.

    A run that was trained further, or whose classifier was, is loaded again at the next request.

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
        self._lock, self._loading = threading.Lock(), threading.Lock()
        for place in self.places:
            if not place.is_dir():
                raise InputError("missing", f"{place} is not a folder; use run folders, or a folder of them")
        found: dict[str, RunFolder] = {}
        for folder in self._all():
            other = found.setdefault(folder.path.name, folder)
            if other is not folder:
                raise InputError(
                    "conflict", f"{other.path} and {folder.path} have the same name; rename one, or serve one"
                )

    def folders(self) -> dict[str, RunFolder]:
        """The folders of the runs that can be sampled, by name; of two with the same name, the first."""
        found: dict[str, RunFolder] = {}
        for folder in self._all():
            found.setdefault(folder.path.name, folder)
        return found

    def _all(self) -> Iterable[RunFolder]:
        """The folders of the runs that can be sampled, each once, even if several places lead to it."""
        found: dict[Path, RunFolder] = {}
        for place in self.places:
            own = RunFolder(place).config_file.exists()
            below = [place] if own else sorted(place.iterdir()) if place.is_dir() else []
            for folder in map(RunFolder, below):
                if folder.config_file.exists() and folder.weights_file.exists() and not folder.is_autoencoder:
                    found.setdefault(folder.path.resolve(), folder)
        return found.values()

    def get(self, name: str) -> Loaded:
        """A run by name, loaded if necessary.

        Raises:
            InputError: there is none, or its files are damaged.
        """
        folders = self.folders()
        if name not in folders:
            known = listed(tuple(folders)) if folders else "none"
            raise InputError("unknown", f"unknown run {name!r}{nearest(name, list(folders))}; the runs are {known}")
        folder = folders[name]
        if (found := self._fresh(name, folder)) is not None:
            return found
        with self._loading:  # one at a time, while requests for other runs continue
            if (found := self._fresh(name, folder)) is not None:
                return found
            stamp = _stamp(folder)
            found = Loaded(stamp, load(folder.path, self.device))
            with self._lock:
                self._loaded[name] = found
                self._loaded.move_to_end(name)
                while len(self._loaded) > 1 and sum(one.bytes for one in self._loaded.values()) > self.limit:
                    self._loaded.popitem(last=False)
            return found

    def _fresh(self, name: str, folder: RunFolder) -> Loaded | None:
        """A run in memory, unless its files have changed."""
        stamp = _stamp(folder)
        with self._lock:
            found = self._loaded.get(name)
            if found is None or found.stamp != stamp:
                return None
            self._loaded.move_to_end(name)
            return found

    def names(self) -> tuple[str, ...]:
        """The names of the runs in memory, the most recently used last."""
        with self._lock:
            return tuple(self._loaded)


def _stamp(folder: RunFolder) -> Stamp:
    classifier = RunFolder(folder.classifier)
    files = (
        *(folder.config_file, folder.weights_file, folder.guidance_file, folder.tuned_file),
        *(classifier.config_file, classifier.weights_file),
    )
    return tuple((s.st_mtime_ns, s.st_size) if path.exists() and (s := path.stat()) else None for path in files)
