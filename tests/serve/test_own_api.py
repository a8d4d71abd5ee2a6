"""Every task by the server's own API; what it refuses, and how."""

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from cases import cases
from ddpm.engine.diffusion import Diffusion
from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.records.provenance import Provenance
from ddpm.serve import drawing
from ddpm.serve.app import create
from ddpm.serve.catalog import Catalog
from ddpm.serve.events import Happened
from ddpm.serve.server import Server
from ddpm.tasks import edit, generate, inpaint, interpolate, outpaint, upscale
from serve.conftest import TOKEN, Order, photo, until, url

HALF = Image.fromarray(np.repeat([[0] * 4 + [255] * 4], 8, 0).astype(np.uint8))
"""A mask of the right half."""


def same(server: Server, job: dict[str, Any], alone: list[Image.Image]) -> None:
    """The pictures of a job are these, and their records name no folder."""
    assert job["state"] == "done", job["error"]
    assert len(job["pictures"]) == len(alone)
    for name, image in zip(job["pictures"], alone, strict=True):
        path = server.store.pictures / name
        with Image.open(path) as found:
            np.testing.assert_array_equal(np.asarray(found), np.asarray(image))
        assert Provenance.read(path).run == job["order"]["run"]


def test_tasks_from_pictures(server: Server, order: Order, shapes: LoadedRun) -> None:
    one, other = photo(), photo(seed=1)
    job = order(task="inpaint", n=2, seed=4, label="star", pictures=[url(one)], mask=url(HALF))
    same(server, job, inpaint.inpaint(shapes, one, HALF, n=2, seed=4, label="star"))  # type: ignore[arg-type]
    job = order(task="outpaint", seed=4, pictures=[url(one)], options={"left": 4, "method": "ddnm"})
    same(server, job, [outpaint.outpaint(shapes, one, left=4, method="ddnm", seed=4)])  # type: ignore[list-item]
    job = order(task="edit", seed=4, pictures=[url(one)], options={"strength": 0.5}, settings={"steps": 4})
    same(server, job, [edit.edit(shapes, one, strength=0.5, seed=4, steps=4)])  # type: ignore[list-item]
    job = order(task="interpolate", n=3, pictures=[url(one), url(other)], settings={"steps": 4})
    same(server, job, interpolate.interpolate(shapes, one, other, n=3, steps=4))
    job = order(task="edit", pictures=[url(photo(side=4))], options={"strength": 0.5})
    assert job["state"] == "failed"
    assert "smaller" in job["error"]


def test_upscaling(enlarging_run: Path, tmp_path: Path) -> None:
    server = Server.of(Catalog([enlarging_run], 1 << 30, "cpu"), tmp_path, TOKEN)
    small = photo(side=4)
    with TestClient(create(server), headers={"authorization": f"Bearer {TOKEN}"}) as client:
        ask = {"run": "enlarging", "task": "upscale", "seed": 4, "label": "3", "pictures": [url(small)]}
        job = client.post("/api/jobs", json=ask).json()
        client.get(f"/api/jobs/{job['id']}/events")
        alone = upscale.upscale(load(enlarging_run, "cpu"), small, seed=4, label="3")
        same(server, client.get(f"/api/jobs/{job['id']}").json(), [alone])  # type: ignore[list-item]
        refused = client.post("/api/jobs", json={"run": "enlarging"})
        assert (refused.status_code, str(tmp_path) in refused.text, "enlarging is" in refused.text) == (
            422,
            False,
            True,
        )


def test_edits_in_several_batches_are_shown_in_turn(
    server: Server, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Diffusion, "_alone", lambda self, how: True)
    monkeypatch.setattr(server.events, "heard", lambda id: True)
    told: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(server.events, "tell", lambda id, kind, **data: told.append((kind, data)))
    ask = {"run": "shapes", "task": "edit", "n": 3, "options": {"strength": 0.5}, "settings": {"steps": 6}}
    id = client.post("/api/jobs", json=ask | {"pictures": [url(photo())]}).json()["id"]
    until(lambda: (ticket := server.queue.get(id)) is not None and ticket.ended)
    done = [data["done"] for kind, data in told if kind == "progress"]
    assert (done, done[-1]) == (sorted(done), 1)
    shown = [data["index"] for kind, data in told if kind == "preview"]
    assert (shown, set(shown)) == (sorted(shown), {0, 1, 2})


def test_a_job_is_shown_while_it_is_denoised(server: Server, client: TestClient) -> None:
    gate, draw = threading.Event(), drawing.draw
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "draw", lambda *given: gate.wait(20) and draw(*given))
        job = client.post("/api/jobs", json={"run": "shapes", "n": 2, "settings": {"steps": 12}}).json()

        async def follow() -> list[Happened]:
            found = []
            async for event in server.follow(job["id"]):
                gate.set()
                found.extend([] if event is None else [event])
            return found

        events = asyncio.run(follow())
    kinds = [event.kind for event in events]
    assert (kinds[0], kinds[-1], kinds.count("picture")) == ("queued", "done", 2)
    shown = [(e.data["index"], e.data["step"]) for e in events if e.kind == "preview"]
    assert len(shown) == len(set(shown)) >= 20
    assert events[-1].data["pictures"] == [e.data["name"] for e in events if e.kind == "picture"]
    done = [event.data["done"] for event in events if event.kind == "progress"]
    assert done == sorted(done)
    assert done[-1] == 1
    later = client.get(f"/api/jobs/{job['id']}/events").text.split("\n\n")  # of one that has ended
    assert [part.partition("\n")[0] for part in later] == ["event: picture"] * 2 + ["event: done", ""]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Drawing waits for this."""
    gate, draw = threading.Event(), drawing.draw
    monkeypatch.setattr(drawing, "draw", lambda *given: gate.wait(20) and draw(*given))
    yield gate
    gate.set()


def test_cancel_while_running_and_while_waiting(server: Server, client: TestClient, held: threading.Event) -> None:
    running, waiting, last = (
        client.post("/api/jobs", json={"run": "shapes", "settings": {"steps": steps}}).json()["id"]
        for steps in (3, 4, 5)
    )
    until(lambda: client.get(f"/api/jobs/{running}").json()["state"] == "running")
    assert [client.get(f"/api/jobs/{id}").json()["position"] for id in (running, waiting, last)] == [0, 1, 2]
    for id in (waiting, running, running):
        assert client.delete(f"/api/jobs/{id}").json()["state"] == "cancelled"
    assert client.get(f"/api/jobs/{last}").json()["position"] == 1
    held.set()
    until(lambda: client.get(f"/api/jobs/{last}").json()["state"] == "done")
    assert client.get("/api/pictures").json() == [f"{last}-000.png"]
    assert [job["state"] for job in client.get("/api/jobs").json()] == ["done", "cancelled", "cancelled"]
    until(lambda: not server.queue._running)  # otherwise every later client waits for the cancelled one


def test_too_many_jobs(server: Server, client: TestClient, held: threading.Event) -> None:
    server.queue.each = 1
    ids = []
    for steps in (3, 4):
        ids.append(client.post("/api/jobs", json={"run": "shapes", "settings": {"steps": steps}}).json()["id"])
        until(lambda: client.get(f"/api/jobs/{ids[0]}").json()["state"] == "running")
    refused = client.post("/api/jobs", json={"run": "shapes"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "full")
    assert "retry-after" in refused.headers
    assert client.post("/v1/images/generations", json={}).status_code == 429


def test_one_fault_fails_no_other_order(server: Server, client: TestClient, held: threading.Event) -> None:
    """A prompt that cannot be read is found when the batch is drawn, in which others share."""
    first = client.post("/api/jobs", json={"run": "shapes"}).json()["id"]
    until(lambda: client.get(f"/api/jobs/{first}").json()["state"] == "running")
    prompts = ("red", "a (heart:99)", "blue")
    ids = [client.post("/api/jobs", json={"run": "hearts", "prompt": prompt}).json()["id"] for prompt in prompts]
    held.set()
    until(lambda: all(client.get(f"/api/jobs/{id}").json()["state"] in ("done", "failed") for id in ids))
    jobs = [client.get(f"/api/jobs/{id}").json() for id in ids]
    assert [job["state"] for job in jobs] == ["done", "failed", "done"]
    assert "99" in jobs[1]["error"]


def test_gallery_and_records(client: TestClient, order: Order, shapes: LoadedRun) -> None:
    job = order(n=3, seed=8, label="circle")
    assert client.get("/api/pictures").json() == job["pictures"][::-1]
    assert client.get("/api/pictures", params={"before": job["pictures"][2], "n": 1}).json() == [job["pictures"][1]]
    name = job["pictures"][1]
    record = client.get(f"/api/pictures/{name}/record").json()
    assert (record["run"], record["seed"], record["index"], record["label"]) == ("shapes", 8, 1, "circle")
    found = client.get(f"/api/pictures/{name}")
    assert found.headers["content-type"] == "image/png"
    sent = "data:image/png;base64," + base64.b64encode(found.content).decode()
    assert client.post("/api/records", json={"picture": sent}).json() == record
    again = order(seed=record["seed"], n=2, label=record["label"])
    assert client.get(f"/api/pictures/{again['pictures'][1]}").content == found.content
    assert client.delete(f"/api/pictures/{name}").json() == {"removed": name}
    assert client.get(f"/api/pictures/{name}").status_code == 404
    assert client.get(f"/api/jobs/{job['id']}").status_code == 200


@cases(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/jobs", {"run": "nowhere"}, 404),
        ("POST", "/api/jobs", {"run": "shapes", "label": "hexagon"}, 404),
        ("POST", "/api/jobs", {"run": "hearts", "label": "star"}, 422),
        ("POST", "/api/jobs", {"run": "shapes", "prompt": ["star"], "n": 2}, 409),
        ("POST", "/api/jobs", {"run": "shapes", "settings": {"guidance": "x"}}, 422),
        ("POST", "/api/jobs", {"run": "shapes", "settings": {"guidance": 3}}, 409),
        ("POST", "/api/jobs", {"run": "shapes", "task": "edit", "options": {"strength": 1}}, 422),
        ("POST", "/api/jobs", {"run": "shapes", "pictures": ["x"]}, 422),
        ("POST", "/api/jobs", {"run": "shapes", "pictures": ["x"] * 3}, 422),
        ("POST", "/api/jobs", {"runs": "shapes"}, 422),
        ("POST", "/api/jobs", [], 422),
        ("POST", "/api/records", {"picture": url(photo())}, 404),
        ("GET", "/api/jobs/0", None, 404),
        ("GET", "/api/jobs/0/events", None, 404),
        ("DELETE", "/api/jobs/0", None, 404),
        ("GET", "/api/pictures/0.png", None, 404),
        ("GET", "/api/pictures?n=1000", None, 422),
        ("GET", "/api/runs/shapes/report", None, 404),
        ("GET", "/api/runs/shapes/previews/1.png", None, 404),
        ("GET", "/api/trainings", None, 409),
        ("POST", "/api/trainings", {"name": "x", "data": "digits"}, 409),
        ("PUT", "/api/uploads?name=x.zip", None, 409),
        ("GET", "/api/nothing", None, 404),
        ("PUT", "/api/jobs", None, 405),
    ],
)
def test_refused(client: TestClient, tmp_path: Path, method: str, path: str, body: Any, status: int) -> None:
    answer = client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert str(tmp_path.parent) not in error["message"]


def test_runs_are_described_without_loading(server: Server, client: TestClient, shapes: LoadedRun) -> None:
    found = {run["name"]: run for run in client.get("/api/runs").json()}
    assert found["shapes"]["classes"] == ["circle", "square", "star"]
    assert (found["hearts"]["text"], found["shapes"]["text"]) == (True, False)
    assert not any(run["loaded"] for run in found.values())
    assert str(shapes.source.parent) not in json.dumps(found)


def test_a_page_may_follow_reports_and_previews_of_a_run(digits_run: Path, tmp_path: Path) -> None:
    server = Server.of(Catalog([digits_run], 1 << 30, "cpu"), tmp_path / "studio", TOKEN)
    with TestClient(create(server), headers={"authorization": f"Bearer {TOKEN}"}) as client:
        progress = client.get("/api/runs/digits/progress").json()
        assert (progress["images"], progress["finished"], len(progress["loss"]) > 0) == (192, True, True)
        found = client.get(f"/api/runs/digits/previews/{progress['preview']}")
        assert found.content.startswith(b"\x89PNG")


def test_alone_by_the_pipeline(server: Server, order: Order, shapes: LoadedRun) -> None:
    same(server, order(n=2, seed=11, label="star"), generate.sample(shapes, 2, seed=11, label="star"))
