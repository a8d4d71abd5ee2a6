import errno
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ddpm.serve import uploads
from ddpm.serve.catalog import Catalog
from ddpm.serve.queue import Queue
from ddpm.serve.server import Server
from ddpm.serve.training import Trainings
from ddpm.serve.uploads import Uploads
from ddpm.system import files
from refusal import refuses
from serve.conftest import TOKEN, Order, until


def test_uploads_that_arrive_have_their_names_and_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST", 2)
    kept = Uploads(tmp_path)
    with kept.arriving("a.zip") as first, kept.arriving("b.zip") as second:
        first.write_bytes(b"1")
        second.write_bytes(b"2")
        with refuses("exists", "a.zip"), kept.arriving("a.zip"):
            pass
        with refuses("conflict", "2"), kept.arriving("c.zip"):
            pass
    assert {name: (tmp_path / name).read_bytes() for name in kept.names()} == {"a.zip": b"1", "b.zip": b"2"}


def test_a_server_that_is_refused_leaves_those_of_the_other(catalog: Catalog, tmp_path: Path) -> None:
    folder = tmp_path / "studio" / "uploads"
    first = Server.of(catalog, tmp_path / "studio", TOKEN, Trainings(None, tmp_path / "runs", folder))
    with Uploads(folder).arriving("a.zip") as draft:
        draft.write_bytes(b"")
        with refuses("busy"):
            Server.of(catalog, tmp_path / "studio", TOKEN, Trainings(None, tmp_path / "runs", folder))
        assert draft.exists()
    first.close()


def test_an_error_of_the_disk_does_not_end_the_worker(
    server: Server, client: TestClient, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path, data: bytes) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    put = Queue.put

    def then_broken(*given: object, **more: object) -> None:
        put(*given, **more)  # type: ignore[arg-type]
        monkeypatch.setattr(files, "write_synced", broken)

    monkeypatch.setattr(Queue, "put", then_broken)
    job = client.post("/api/jobs", json={"run": "shapes"}).json()
    until(lambda: client.get(f"/api/jobs/{job['id']}").json()["state"] in ("failed", "done"))
    monkeypatch.undo()
    assert server.worker.is_alive()
    assert order()["state"] == "done"
