"""Runs with random weights, and servers of them."""

import base64
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from ddpm.config.network import NetworkSettings
from ddpm.engine.run import LoadedRun
from ddpm.serve.app import create
from ddpm.serve.catalog import Catalog
from ddpm.serve.server import Server
from random_runs import random_run
from tiny import CLASSES, NETWORKS, TEXT

TOKEN = "a token of the tests"
Order = Callable[..., dict[str, Any]]


def _network(**more: Any) -> dict[str, Any]:
    return {**TypeAdapter(NetworkSettings).dump_python(NETWORKS["unet"]), **more}


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    """A run with classes, in grey, for reading only."""
    folder = tmp_path_factory.mktemp("served") / "shapes"
    return random_run(folder, _network(), mode="L", classes=CLASSES, dropout=0.1)


@pytest.fixture(scope="session")
def hearts(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    """A run with captions, in colour, for reading only."""
    folder = tmp_path_factory.mktemp("served") / "hearts"
    return random_run(folder, _network(token_width=8), text=TEXT, dropout=0.1)


@pytest.fixture
def catalog(shapes: LoadedRun, hearts: LoadedRun) -> Catalog:
    return Catalog([shapes.source, hearts.source], 1 << 30, "cpu")


@pytest.fixture
def server(catalog: Catalog, tmp_path: Path) -> Iterator[Server]:
    """A server whose worker does not run yet."""
    made = Server.of(catalog, tmp_path / "studio", TOKEN)
    yield made
    made.close()


@pytest.fixture
def client(server: Server) -> Iterator[TestClient]:
    """A client of a running server."""
    with TestClient(create(server), headers={"authorization": f"Bearer {TOKEN}"}) as found:
        yield found


@pytest.fixture
def order(client: TestClient) -> Order:
    """Ask for pictures, and wait for them: ``order(run="shapes", …)`` -> the job."""

    def ask(**given: Any) -> dict[str, Any]:
        answer = client.post("/api/jobs", json={"run": "shapes", **given})
        assert answer.status_code == 202, answer.text
        client.get(f"/api/jobs/{answer.json()['id']}/events")  # ends when the job does
        job: dict[str, Any] = client.get(f"/api/jobs/{answer.json()['id']}").json()
        return job

    return ask


def url(image: Image.Image) -> str:
    """A picture as clients send it."""
    file = BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def photo(mode: str = "L", side: int = 8, seed: int = 0) -> Image.Image:
    """A random picture."""
    shape = (side, side) if mode == "L" else (side, side, len(mode))
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def until(holds: Callable[[], bool]) -> None:
    """Wait for this."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + 30
        time.sleep(0.005)
