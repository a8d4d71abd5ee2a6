"""The folder of the server: tickets, the pictures that came with them, and finished pictures."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from PIL import Image

from ddpm.images.sheets import png
from ddpm.records import provenance
from ddpm.serve.orders import Ticket
from ddpm.system.errors import InputError
from ddpm.system.files import clear_drafts, disk_errors, write_file

PICTURE = re.compile(r"[0-9a-f]{23}-\d{3}\.png")
"""The names of finished pictures."""
KEPT = 2000
"""The number of ended tickets that are remembered."""


class Store:
    """A folder in which everything is complete or absent, so that a killed server goes on where it was.

    Raises:
        InputError: it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tickets, self._given, self.pictures = folder / "tickets", folder / "given", folder / "pictures"
        with disk_errors(folder):
            for part in (self._tickets, self._given, self.pictures):
                part.mkdir(parents=True, exist_ok=True)
                clear_drafts(part)

    def tickets(self) -> Iterator[Ticket]:
        """All remembered tickets, oldest first; damaged ones are left out. The oldest beyond ``KEPT`` are forgotten."""
        paths = sorted(self._tickets.glob("*.json"))
        for number, path in enumerate(paths):
            with suppress(InputError):
                ticket = Ticket.read(path)
                if ticket.ended and number < len(paths) - KEPT:
                    path.unlink(missing_ok=True)
                else:
                    yield ticket

    def keep(self, ticket: Ticket) -> None:
        """Write a ticket; once it has ended, the pictures that came with it are removed."""
        ticket.write(self._tickets / f"{ticket.id}.json")
        if ticket.ended:
            for path in self._given.glob(f"{ticket.id}-given-*.png"):
                path.unlink(missing_ok=True)

    def take_in(self, name: str, image: Image.Image) -> None:
        """Keep a picture that came with an order."""
        write_file(self._given / name, png(image))

    def given(self, name: str) -> Path:
        """The file of a picture that came with an order."""
        return self._given / name

    def finish(self, name: str, image: Image.Image) -> None:
        """Write a finished picture with its record."""
        provenance.save(image, self.pictures / name)

    def finished(self, ticket: Ticket) -> list[str]:
        """The names of the pictures of a ticket that are there, in order."""
        return [name for k in range(ticket.order.n) if (self.pictures / (name := ticket.picture(k))).exists()]

    def path(self, name: str) -> Path | None:
        """The file of a finished picture; None if there is none of this name."""
        path = self.pictures / name
        return path if PICTURE.fullmatch(name) and path.is_file() else None

    def gallery(self, before: str | None, n: int) -> list[str]:
        """The names of the n newest pictures, or of those before one."""
        names = sorted((path.name for path in self.pictures.glob("*.png")), reverse=True)
        return [name for name in names if before is None or name < before][:n]
