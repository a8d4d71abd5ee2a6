"""The folder of a server."""

from pathlib import Path

import pytest

from cases import cases
from ddpm.serve.orders import Order, Ticket
from ddpm.serve.store import Store
from refusal import refuses
from serve.conftest import photo


def test_one_server_a_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with refuses("busy", str(tmp_path), "being served"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


def test_the_gallery_is_newest_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    tickets = [Ticket.of(Order(run="shapes", n=2), "someone") for _ in range(3)]
    names = [ticket.picture(k) for ticket in tickets for k in range(2)]
    for name in names:
        store.finish(name, photo())
    (store.pictures / "other.png").write_bytes(b"")
    assert store.gallery(None, 100) == names[::-1]
    assert store.gallery(names[4], 2) == [names[3], names[2]]
    assert store.finished(tickets[1]) == names[2:4]


@cases("name", ["../tickets/x.json", "..", "", "\0", "a.png", "0" * 23 + "-000.png", "0" * 5000])
def test_only_pictures_are_found(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path)
    try:
        assert store.path(name) is None
    finally:
        store.close()


def test_links_are_not_followed(tmp_path: Path) -> None:
    store, name = Store(tmp_path / "studio"), "0" * 23 + "-000.png"
    (tmp_path / "secret").write_text("secret")
    (store.pictures / name).symlink_to(tmp_path / "secret")
    assert store.path(name) is None


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody may write to")
def test_a_folder_that_cannot_be_written() -> None:
    with refuses("unwritable", "/proc"):
        Store(Path("/proc/studio"))
