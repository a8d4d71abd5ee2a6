"""The folder of the server: tickets, the pictures that came with them, and finished pictures."""

import re
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from PIL import Image

from ddpm.images.sheets import png
from ddpm.records import provenance
from ddpm.serve.orders import Ticket
from ddpm.system.errors import InputError
from ddpm.system.files import clear_drafts, disk_errors, write_file
from ddpm.system.lock import exclusive

PICTURE = re.compile(r"[0-9a-f]{23}-\d{3}\.png")
"""The names of finished pictures."""
ADVICE = "free some space, or use another --out"


class Store:
    """A folder in which everything is complete or absent, so that a killed server resumes where it was.

    Raises:
        InputError: it cannot be written, or another server uses it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tickets, self._given, self.pictures = folder / "tickets", folder / "given", folder / "pictures"
        self._lock = ExitStack()
        self._lock.enter_context(exclusive(folder, "being served"))
        with disk_errors(folder, "use another --out"):
            for part in (self._tickets, self._given, self.pictures):
                part.mkdir(exist_ok=True)
                clear_drafts(part)

    def close(self) -> None:
        """Leave the folder to another server."""
        self._lock.close()

    def tickets(self) -> list[Ticket]:
        """All tickets, oldest first, without damaged ones; pictures that came with no waiting ticket are removed."""
        found = []
        for path in sorted(self._tickets.glob("*.json")):
            with suppress(InputError):
                found.append(Ticket.read(path))
        waiting = {ticket.id for ticket in found if not ticket.ended}
        for path in self._given.glob("*.png"):
            if path.name.partition("-")[0] not in waiting:
                path.unlink(missing_ok=True)
        return found

    def keep(self, ticket: Ticket) -> None:
        """Write a ticket; once it has ended, the pictures that came with it are removed.

        Raises:
            InputError: the disk is full.
        """
        write_file(self._tickets / f"{ticket.id}.json", ticket.to_json().encode(), ADVICE)
        if ticket.ended:  # a killed server carries it out again, and needs them, until that is written
            self._remove_given(ticket)

    def keep_new(self, ticket: Ticket, given: Sequence[Image.Image], mask: Image.Image | None) -> None:
        """Write a new ticket, after the pictures that came with it.

        Raises:
            InputError: the disk is full.
        """
        try:
            for k, image in enumerate(given):
                write_file(self.given(ticket.given(k)), png(image), ADVICE)
            if mask is not None:
                write_file(self.given(ticket.given("mask")), png(mask), ADVICE)
            self.keep(ticket)
        except InputError:
            with suppress(OSError):  # it may exist, although its client gets an error
                self.forget(ticket)
            self._remove_given(ticket)
            raise

    def forget(self, ticket: Ticket) -> None:
        """Remove a ticket; its finished pictures stay."""
        (self._tickets / f"{ticket.id}.json").unlink(missing_ok=True)

    def _remove_given(self, ticket: Ticket) -> None:
        for path in self._given.glob(f"{ticket.id}-given-*.png"):
            with suppress(OSError):  # what remains is removed at the next start
                path.unlink(missing_ok=True)

    def given(self, name: str) -> Path:
        """The file of a picture that came with an order."""
        return self._given / name

    def finish(self, name: str, image: Image.Image) -> None:
        """Write a finished picture with its record.

        Raises:
            InputError: the disk is full.
        """
        provenance.save(image, self.pictures / name)

    def finished(self, ticket: Ticket) -> list[str]:
        """The names of the pictures of a ticket that are there, in order."""
        return [name for k in range(ticket.order.n) if (self.pictures / (name := ticket.picture(k))).exists()]

    def path(self, name: str) -> Path | None:
        """The file of a finished picture; None if there is none of this name."""
        path = self.pictures / name
        return path if PICTURE.fullmatch(name) and path.is_file() and not path.is_symlink() else None

    def gallery(self, before: str | None, n: int) -> list[str]:
        """The names of the n newest pictures, or of those before one."""
        names = sorted((path.name for path in self.pictures.iterdir() if PICTURE.fullmatch(path.name)), reverse=True)
        return [name for name in names if before is None or name < before][:n]
