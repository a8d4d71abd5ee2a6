"""A server that is killed in the middle, and one that starts in its folder."""

import shutil
import time
from pathlib import Path

import numpy as np
from PIL import Image

from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.serve.catalog import Catalog
from ddpm.serve.orders import Order, Ticket
from ddpm.serve.server import Server
from ddpm.tasks.edit import edit
from ddpm.tasks.generate import sample
from forked import finish, start
from serve.conftest import TOKEN, photo

KILLED = """
import sys, time
from pathlib import Path
import torch
from ddpm.serve.catalog import Catalog
from ddpm.serve.server import Server
torch.set_num_threads(1)
server = Server.of(Catalog([Path(sys.argv[1])], 1 << 30, "cpu"), Path(sys.argv[2]), "a token of the tests")
finish = server.store.finish
def slow(name, image):
    finish(name, image)
    time.sleep(0.02)
server.store.finish = slow
server.worker.start()
server.worker.join()
"""


def ended(server: Server, tickets: list[Ticket]) -> list[Ticket]:
    found = [server.queue.get(ticket.id) for ticket in tickets]
    return [ticket for ticket in found if ticket is not None and ticket.ended]


def test_killed_in_the_middle_of_ten_requests(shapes: LoadedRun, tmp_path: Path) -> None:
    """They end after the restart, each picture once and whole, and as if nothing had happened."""
    folder, catalog = tmp_path / "studio", Catalog([shapes.source], 1 << 30, "cpu")
    before = Server.of(catalog, folder, TOKEN)
    orders = [Order(run="shapes", n=3, seed=k, label="star", settings={"steps": 2 + k}) for k in range(9)]
    orders.append(Order(run="shapes", task="edit", n=2, seed=9, options={"strength": 0.5}))  # type: ignore[arg-type]
    tickets = [Ticket.of(order, "someone") for order in orders]
    for ticket in tickets:
        before.queue.put(ticket, [photo()] * (ticket.order.task == "edit"))
    before.close()
    process = start(KILLED, str(shapes.source), str(folder), output=tmp_path / "killed")
    while len(list((folder / "pictures").glob("*.png"))) < 10:
        assert process.is_alive(), (tmp_path / "killed.err").read_text()
        time.sleep(0.005)
    process.kill()
    finish(process)
    (folder / "pictures" / f".{tickets[5].picture(0)}.0.part").write_bytes(b"\x89PNG")  # as of a write that was cut off
    there = {path: path.stat().st_mtime_ns for path in (folder / "pictures").glob("*.png")}
    assert 10 <= len(there) < 29

    after = Server.of(catalog, folder, TOKEN)
    after.worker.start()
    while len(ended(after, tickets)) < 10:
        after.worker.join(0.02)
    after.close()
    assert sorted(after.store.gallery(None, 100)) == [t.picture(k) for t in tickets for k in range(t.order.n)]
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in there.items())  # not drawn again
    assert not list(folder.rglob(".*.part"))
    assert not list((folder / "given").iterdir())
    for ticket in ended(after, tickets):
        order = ticket.order
        assert ticket.state == "done", ticket.error
        if order.task == "edit":
            alone = edit(shapes, photo(), strength=0.5, n=2, seed=9)
        else:
            alone = sample(shapes, 3, label="star", seed=ticket.seed, **order.settings)
        for name, image in zip(ticket.pictures, alone, strict=True):  # type: ignore[arg-type]
            with Image.open(folder / "pictures" / name) as found:
                np.testing.assert_array_equal(np.asarray(found), np.asarray(image))


def test_a_run_that_is_trained_further_is_picked_up_by_the_next_job(shapes: LoadedRun, tmp_path: Path) -> None:
    run = tmp_path / "shapes"
    shutil.copytree(shapes.source, run)
    server = Server.of(Catalog([run], 1 << 30, "cpu"), tmp_path / "studio", TOKEN)
    server.worker.start()
    pictures = []
    for weight in (0x7F, 0):
        ticket = Ticket.of(Order(run="shapes", seed=1), "someone")
        server.queue.put(ticket)
        while not (found := ended(server, [ticket])):
            server.worker.join(0.01)
        pictures.append(server.store.pictures / found[0].pictures[0])
        data = bytearray((run / "model.safetensors").read_bytes())
        data[-2] ^= weight  # the exponent of the last one
        (run / "model.safetensors").write_bytes(data)
    server.close()
    weights = [load(run, "cpu").weights, shapes.weights]
    assert len({*weights}) == 2
    assert pictures[0].read_bytes() != pictures[1].read_bytes()
