"""Orders that share a batch give the pictures of each alone, bit for bit."""

from typing import Any

import numpy as np
import pytest

from cases import cases
from ddpm.engine.run import LoadedRun
from ddpm.records.provenance import KEY, Provenance
from ddpm.serve import drawing
from ddpm.serve.catalog import Catalog
from ddpm.serve.orders import Order, Ticket
from ddpm.serve.server import Server
from ddpm.tasks.generate import sample


def ticket(**given: Any) -> Ticket:
    return Ticket.of(Order(**{"run": "shapes", "seed": 1, **given}), "someone")


def test_shared_batches(server: Server, shapes: LoadedRun, hearts: LoadedRun) -> None:
    """Labels, prompts, seeds and numbers of pictures differ; some have neither label nor prompt."""
    orders: list[dict[str, Any]] = [
        {"run": "shapes", "label": "circle", "seed": 3, "n": 2},
        {"run": "hearts", "prompt": "red heart", "seed": 3},
        {"run": "shapes", "label": ["star", "square", "star"], "seed": 3, "n": 3},
        {"run": "hearts", "prompt": ["", "a green shape"], "seed": 2**40, "n": 2},
        {"run": "shapes", "seed": 5},
        {"run": "shapes", "label": 1, "seed": 2**63 - 1},
        {"run": "hearts", "prompt": "red heart", "seed": 4, "settings": {"steps": 2}},
        {"run": "hearts", "prompt": "blue (heart:1.4)", "seed": 9, "n": 20},
        {"run": "shapes", "prompt": "circle", "seed": 3},
        {"run": "shapes", "label": "circle", "seed": 3, "n": 2, "first": 5},
    ]
    tickets = [ticket(**order) for order in orders]
    for one in tickets:
        server.queue.put(one)
    server.worker.start()
    while any(not found.ended for one in tickets if (found := server.queue.get(one.id))):
        server.worker.join(0.02)
    assert server.worker.batches == 4  # with labels, with prompts, with neither, and in two steps
    for one, asked in zip(tickets, orders, strict=True):
        found = server.queue.get(one.id)
        assert found is not None
        assert found.state == "done", found.error
        run = {"shapes": shapes, "hearts": hearts}[asked.pop("run")]
        own, n, first = asked.pop("settings", {}), asked.pop("n", 1), asked.pop("first", 0)
        if run is shapes and "prompt" in asked:
            asked["label"] = asked.pop("prompt")
        for alone, name in zip(
            sample(run, n, indices=range(first, first + n), **asked, **own), found.pictures, strict=True
        ):
            path = server.store.pictures / name
            with drawing.Image.open(path) as image:
                np.testing.assert_array_equal(np.asarray(image), np.asarray(alone))
            ours, theirs = Provenance.read(path), Provenance.from_json(alone.info[KEY], "alone")
            assert ours == theirs.model_copy(update={"run": run.source.name})


@cases(
    ("one", "other", "same"),
    [
        ({"seed": 1}, {"seed": 2}, True),
        ({"label": "star"}, {"label": "circle", "n": 5}, True),
        ({"label": "star"}, {}, False),  # the null label is guided by other conditions
        ({}, {"settings": {"steps": 5}}, True),  # the run's own
        ({}, {"settings": {"steps": 4}}, False),
        ({}, {"settings": {"solver": "heun"}}, False),
        ({}, {"settings": {"size": [16, 16]}}, False),
        ({"label": "star"}, {"label": "star", "settings": {"guidance": 3}}, False),
        ({"run": "hearts"}, {}, False),
    ],
)
def test_what_can_share_a_batch(catalog: Catalog, one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    keys = [drawing.resolve(catalog, ticket(**order)).key for order in (one, other)]
    assert (keys[0] == keys[1]) == same


def test_large_pictures_make_small_batches(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = {side: drawing.resolve(catalog, ticket(settings={"size": [side, side]})) for side in (8, 16, 512)}
    assert [drawing.largest(batch) for batch in batches.values()] == [64, 64, 1]  # the last in as many windows anyway
    monkeypatch.setattr(drawing, "MOST_PIXELS", 1024)
    assert drawing.largest(batches[8]) == 16
