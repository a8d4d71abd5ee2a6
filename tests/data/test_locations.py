from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from ddpm.data import locations
from ddpm.data.cache import prepare
from ddpm.data.locations import attempted, expanded
from ddpm.data.open import open_source
from ddpm.images.geometry import Geometry
from refusal import refuses
from shards import tar

Make = Callable[..., bytes]


@pytest.fixture
def shard(tmp_path: Path, png: Make) -> Path:
    return tar(tmp_path / "www" / "a.tar", {f"{i}.png": png(i) for i in range(3)})


class Ranged(SimpleHTTPRequestHandler):
    """A server of files that can send a part of one."""

    def do_GET(self) -> None:
        data = Path(self.translate_path(self.path)).read_bytes()
        first, last = 0, len(data) - 1
        if asked := self.headers.get("Range"):
            low, high = asked.removeprefix("bytes=").split("-")
            first, last = int(low), min(int(high or last), last)
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[first : last + 1])

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(shard: Path) -> Iterator[str]:
    served = ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranged, directory=str(shard.parent)))
    Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()


def test_patterns() -> None:
    assert expanded("s3://b/{08..10}.tar") == [f"s3://b/{i:02}.tar" for i in (8, 9, 10)]
    assert expanded("{a,b}/{0..1}") == ["a/0", "a/1", "b/0", "b/1"]
    assert expanded("{none*,b}.tar") == ["b.tar"]


def test_a_file_in_a_store_is_as_one_on_disk(shard: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    with fsspec.open("memory://bucket/a.tar", "wb") as file:
        file.write(shard.read_bytes())
    there, here = open_source("memory://bucket/a.tar"), open_source(shard)
    assert there.key == here.key
    assert np.array_equal(prepare(there, Geometry()).images, prepare(here, Geometry()).images)
    assert open_source("memory://bucket/*.tar").key == open_source("memory://bucket").key == here.key


def test_a_file_of_a_server_is_as_one_on_disk(shard: Path, server: str) -> None:
    pytest.importorskip("fsspec")
    pytest.importorskip("aiohttp")
    there = open_source(f"{server}/a.tar")
    assert there.key == open_source(shard).key
    assert there.read("1") == open_source(shard).read("1")


def test_what_fails_for_a_while_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = list[float]()
    monkeypatch.setattr(locations.time, "sleep", waits.append)
    outcomes = iter([ConnectionError("reset"), TimeoutError(), "data"])

    def task() -> str:
        if isinstance(found := next(outcomes), Exception):
            raise found
        return found

    assert attempted(task, "s3://b/a.tar") == "data"
    assert waits == [0.5, 1.0]
    with pytest.raises(OSError, match="b/a"):
        attempted(lambda: 1 / 0, "s3://b/a.tar")


def test_what_is_not_there_is_said() -> None:
    pytest.importorskip("fsspec")
    with refuses("missing", "memory://bucket/b.tar"):
        open_source("memory://bucket/b.tar")
    with refuses("unknown", "xyz://"):
        open_source("xyz://bucket/b.tar")
