"""Requests that mean harm: files of the server, large and hostile pictures, and what answers give away."""

import base64
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient

from cases import cases
from ddpm.config.sampling import SamplingConfig
from ddpm.engine.run import LoadedRun
from ddpm.records.provenance import KEY, Provenance
from ddpm.serve import uploads
from ddpm.serve.app import create
from ddpm.serve.catalog import Catalog
from ddpm.serve.server import Server
from ddpm.serve.training import Trainings
from serve.conftest import TOKEN, photo, url

BEARER = {"authorization": f"Bearer {TOKEN}"}
SCRIPT = "<script>alert(1)</script>"
NAMES = (
    *("..", ".", "../config.json", "../../../../etc/passwd", "/etc/passwd", "..\\config.json", "%2e%2e/config.json"),
    *("secret.png", "config.json", "a\0.png", "....//config.json", "x" * 3000 + ".png", "-.png", "~/x.png"),
)
"""Names of files that no client may read."""


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """A folder whose path cannot be told from the words around it."""
    place = tmp_path / "mine, or [of] others (1)"
    place.mkdir()
    return place


@pytest.fixture
def place(shapes: LoadedRun, tmp_path: Path) -> Path:
    """A folder with a run, in which links lead out of it, next to a secret."""
    place = tmp_path / "runs"
    shutil.copytree(shapes.source, place / "shapes")
    photo().save(tmp_path / "secret.png")
    (place / "shapes" / "previews").mkdir()
    (place / "shapes" / "previews" / "link.png").symlink_to(tmp_path / "secret.png")
    (place / "shapes" / "report.html").symlink_to("/etc/passwd")
    return place


@pytest.fixture
def client(place: Path, tmp_path: Path) -> Iterator[TestClient]:
    """A client of a running server that may start trainings."""
    data = tmp_path / "data"
    (data / "photos").mkdir(parents=True)
    photo().save(data / "photos" / "1.png")
    (data / "link").symlink_to(tmp_path)
    trainings = Trainings(data, tmp_path / "studio" / "runs", tmp_path / "studio" / "uploads")
    server = Server.of(Catalog([place], 1 << 30, "cpu"), tmp_path / "studio", TOKEN, trainings)
    with TestClient(create(server), headers=BEARER) as found:
        yield found


def refused(answer: Any, tmp_path: Path, *statuses: int) -> None:
    """An answer of one of these, which names no folder of this machine and quotes no file."""
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    assert not any(part in answer.text for part in ("others (1)", str(tmp_path.parent), "root:"))


def test_names_of_files(client: TestClient, tmp_path: Path) -> None:
    page = client.get("/").content
    for name in (*NAMES, "previews/../config.json", "link.png"):
        told = quote(name, safe="")
        for path in (
            *(f"/api/runs/shapes/previews/{told}", f"/api/pictures/{told}", f"/api/pictures/{told}/record"),
            *(f"/api/runs/{told}/progress", f"/api/runs/{told}/report", f"/api/jobs/{told}", f"/v1/models/{told}"),
            *(f"/{told}", f"/api/trainings/{told}"),
        ):
            if {".", ".."} & {*path.split("/")}:
                continue  # resolved by the client, before they are sent
            answer = client.get(path)
            if answer.content != page:
                refused(answer, tmp_path, 404)
    refused(client.get("/api/runs/shapes/report"), tmp_path, 404)
    for name in NAMES:
        if "/" not in name:
            refused(client.delete(f"/api/pictures/{quote(name)}"), tmp_path, 404, 405)
    for order in ({"run": "../shapes"}, {"run": str(tmp_path / "runs" / "shapes")}, {"run": "shapes/"}):
        refused(client.post("/api/jobs", json=order), tmp_path, 404)
    for label in ("../star", SCRIPT, "/etc/passwd"):
        refused(client.post("/api/jobs", json={"run": "shapes", "label": label}), tmp_path, 404)
    assert (tmp_path / "secret.png").exists()


@cases("name", ["../x.zip", "/nowhere/x.zip", "x.png", ".zip", "-x.zip", "a/b.zip", "x" * 80 + ".zip", "x\n.zip", ""])
def test_names_of_uploads(client: TestClient, tmp_path: Path, name: str) -> None:
    refused(client.put("/api/uploads", params={"name": name}, content=b"x"), tmp_path, 422)


def archive(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return out.getvalue()


def test_uploads(client: TestClient, tmp_path: Path) -> None:
    """They stay what they are: no member is written anywhere, and one that is no archive of images is not kept."""
    picture = base64.b64decode(url(photo()).partition(",")[2])
    before = {path for path in tmp_path.rglob("*") if "uploads" not in path.parts}
    slip = archive({"../../slip.png": picture, f"{tmp_path}/slip.png": picture, "..\\slip.png": picture})
    bomb = archive({"bomb.png": bytes(64 << 20)})
    for name, content, status in (
        ("slip.zip", slip, 200),
        ("bomb.zip", bomb, 200),  # a picture of 64 MB, which is read when it is trained on, and found damaged
        ("captions.zip", archive({"1.png": picture, "metadata.csv": bytes(65 << 20)}), 422),
        ("slip.zip", slip, 409),
        ("text.zip", archive({"x.txt": b"x"}), 404),
        ("cut.zip", slip[:-30], 422),
        ("empty.zip", b"", 422),
    ):
        answer = client.put("/api/uploads", params={"name": name}, content=content)
        refused(answer, tmp_path, status)
    assert {path for path in tmp_path.rglob("*") if "uploads" not in path.parts} == before
    assert sorted(path.name for path in (tmp_path / "studio" / "uploads").iterdir()) == ["bomb.zip", "slip.zip"]


def test_uploads_are_limited_in_number(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST", 1)
    content = archive({"1.png": base64.b64decode(url(photo()).partition(",")[2])})

    def sent(name: str) -> Any:
        return client.put("/api/uploads", params={"name": name}, content=content)

    refused(sent("one.zip"), tmp_path, 200)
    refused(sent("two.zip"), tmp_path, 409)
    for name in ("two.zip", "..", "one.command.json", "%2e%2e%2ftickets"):
        refused(client.delete(f"/api/uploads/{name}"), tmp_path, 404, 405)
    refused(client.delete("/api/uploads/one.zip"), tmp_path, 204)
    refused(sent("two.zip"), tmp_path, 200)
    assert client.get("/api/trainings").json()["uploads"] == ["two.zip"]


@cases(
    ("order", "status"),
    [
        ({"name": "../x", "data": "digits"}, 422),
        ({"name": "x", "data": "../data/photos"}, 404),
        ({"name": "x", "data": "link"}, 404),
        ({"name": "x", "data": "/etc"}, 404),
        ({"name": "x", "data": "."}, 404),
        ({"name": "x", "data": "photos", "budget": "--out=/nowhere/x"}, 422),
        ({"name": "x", "data": "photos", "budget": "-1"}, 422),
        ({"name": "x", "data": "photos", "size": -1}, 422),
        ({"name": "x", "data": "photos", "out": "/nowhere/x"}, 422),
    ],
)
def test_trainings(client: TestClient, tmp_path: Path, order: dict[str, Any], status: int) -> None:
    refused(client.post("/api/trainings", json=order), tmp_path, status)


def test_messages(client: TestClient, tmp_path: Path) -> None:
    """Of a damaged run, of a training that cannot start, and of one that is cut in the middle of a path."""
    copy = tmp_path / "runs" / "of yours (2)"
    shutil.copytree(tmp_path / "runs" / "shapes", copy)
    (copy / "config.json").write_text("{")
    answer = client.get("/api/runs")
    refused(answer, tmp_path, 200)
    assert "of yours (2)/config.json" in answer.text
    output = tmp_path / "studio" / "uploads" / "one.output.txt"
    output.parent.mkdir()
    output.with_name("one.command.json").write_text("{}")
    lines = [f"ddpm: {(tmp_path / folder / 'x y.png')} is damaged" for folder in ("data", "studio/runs", "studio", ".")]
    output.write_text(f"{tmp_path} " * 9000 + "\n" + "\n".join(lines))
    answer = client.get("/api/trainings/one")
    refused(answer, tmp_path, 200)
    said = [f"ddpm: {of}x y.png is damaged" for of in ("data/", "runs/", "the server/", "")]
    assert answer.json()["said"] == said


def test_the_runs_are_listed_once_for_the_messages_of_all_trainings(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, listed, folders = tmp_path / "studio" / "uploads", [], Catalog.folders
    folder.mkdir()
    for name in ("one", "three", "two"):
        (folder / f"{name}.command.json").write_text("{}")
        (folder / f"{name}.output.txt").write_text(f"{tmp_path}/data/{name}.png\n{tmp_path}/x\n" * len(name))
    monkeypatch.setattr(Catalog, "folders", lambda catalog: listed.append(catalog) or folders(catalog))
    told = client.get("/api/trainings").json()["trainings"]
    assert [one["said"] for one in told] == [[f"data/{n}.png", "x"] * len(n) for n in ("one", "three", "two")]
    assert len(listed) == 1


def test_pictures(client: TestClient, tmp_path: Path, raw_png_60000: bytes) -> None:
    """Too large, none at all, or an address that the server would have to fetch."""

    def told(data: bytes) -> str:
        return "data:image/png;base64," + base64.b64encode(data).decode()

    large = io.BytesIO()
    Image.new("L", (2049, 2048)).save(large, "PNG")
    edit = {"run": "shapes", "task": "edit", "options": {"strength": 0.5}}
    for picture in (
        *map(
            told,
            (raw_png_60000, large.getvalue(), b"", b"GIF89a", b"<svg onload='alert(1)'/>", b"%!PS\n(%pipe%id) run"),
        ),
        *(
            "http://169.254.169.254/latest/meta-data",
            "https://localhost/x.png",
            "file:///etc/passwd",
            "//evil.example/x",
        ),
        *("data:text/html;base64,PHNjcmlwdD4=", "/etc/passwd", "data:image/png;base64,%%%", "", "\0", "é"),
    ):
        refused(client.post("/api/jobs", json={**edit, "pictures": [picture]}), tmp_path, 422)
        refused(client.post("/api/records", json={"picture": picture}), tmp_path, 422)
    for data in (raw_png_60000, large.getvalue(), b"x"):
        sent = {"image": ("../../x.png", data, "image/png")}
        refused(client.post("/v1/images/edits", files=sent, data={"prompt": "star"}), tmp_path, 422)


@cases(
    "content",
    [
        *(
            b"",
            b"{",
            b"[" * 100_000,
            b'{"a":' * 50_000,
            b"\xff\xfe",
            b"null",
            b'"x"',
            b"{}" * 2,
            b'{"run": "shapes", "n": NaN}',
        ),
        *(b'{"run": "shapes", "n": 1e400}', b'{"run": "shapes", "seed": 1' + b"0" * 5000 + b"}", b'{"run": "\\ud800"}'),
        b'{"run": "shapes", "settings": {"grid": ' + b"[" * 900 + b"]" * 900 + b"}}",
        b'{"run": "shapes", "settings": {' + b", ".join(b'"%d": 1' % k for k in range(10_000)) + b"}}",
        b'{"run": "shapes", "label": "' + b"x" * (1 << 20) + b'"}',
    ],
)
def test_malformed_json(client: TestClient, tmp_path: Path, content: bytes) -> None:
    for path in ("/api/jobs", "/v1/images/generations", "/api/records", "/api/trainings"):
        if path.startswith("/v1") and content in (b"null", b'{"run": "shapes", "n": NaN}'):
            continue
        answer = client.post(path, content=content, headers={"content-type": "application/json"})
        refused(answer, tmp_path, 400, 404, 422, *([200] if path.startswith("/v1") else []))
        assert len(answer.content) < 20_000


def test_forms(client: TestClient, tmp_path: Path) -> None:
    head = {"content-type": "multipart/form-data; boundary=x"}
    for content in (
        b"",
        b"--x",
        b"--x\r\n\r\n\r\n--x--",
        b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nx\r\n--x--',
    ):
        refused(client.post("/v1/images/edits", content=content, headers=head), tmp_path, 400, 404, 422)
    many = {f"{k}": "x" for k in range(2000)}
    refused(client.post("/v1/images/edits", data=many), tmp_path, 400, 404, 422)


def test_records_of_strangers(client: TestClient, tmp_path: Path, shapes: LoadedRun) -> None:
    """Data, whatever they say: they are read, or refused, and nothing of this machine is looked up."""
    own = Provenance(run="x", weights="y", seed=1, index=0, label=SCRIPT, prompt="../../x", sampling=SamplingConfig())
    tree = json.loads(own.model_dump_json())

    def sent(text: str, **more: Any) -> Any:
        info = PngInfo()
        info.add_text(KEY, text, **more)
        out = io.BytesIO()
        Image.new("L", (1, 1)).save(out, "PNG", pnginfo=info)
        return client.post(
            "/api/records", json={"picture": "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()}
        )

    found = sent(json.dumps(tree | {"run": "/etc/passwd", "seed": 10**30}))
    assert found.status_code == 200
    assert found.headers["content-type"] == "application/json"  # so that no browser reads it as a page
    assert (found.json()["label"], found.json()["run"]) == (SCRIPT, "/etc/passwd")
    work = {"command": "edit", "given": [["../../x", "0"]], "options": {"strength": 1e999}}
    assert "Infinity" not in sent(json.dumps(tree | {"work": work})).text  # which no browser reads
    for text in (
        *("", "x", "null", "[]", "[" * 60_000, "{}", json.dumps({"format": 2}), json.dumps(tree | {"seed": "x"})),
        *(json.dumps(tree | {"more": 1}), json.dumps(tree | {"prompt": "x" * 70_000}), "x" * (1 << 20)),
        *(json.dumps(tree | {"sampling": {"steps": -1}}), json.dumps(tree | {"label": {"a": []}})),
        '{"format": 2, "seed": 1' + "0" * 5000 + "}",
    ):
        answer = sent(text)
        refused(answer, tmp_path, 404, 422)
    refused(sent("x" * (8 << 20), zip=True), tmp_path, 404, 422)  # unpacks to more than Pillow reads


def test_names_in_answers(client: TestClient, tmp_path: Path, place: Path) -> None:
    """Neither errors of the worker, nor records, nor any list name a folder of this machine."""
    job = client.post("/api/jobs", json={"run": "shapes", "label": "star"}).json()
    told = client.get(f"/api/jobs/{job['id']}/events").text
    name = client.get(f"/api/jobs/{job['id']}").json()["pictures"][0]
    assert client.get(f"/api/pictures/{name}/record").json()["run"] == "shapes"
    job = client.post(
        "/api/jobs",
        json={"run": "shapes", "task": "edit", "options": {"strength": 0.5}, "pictures": [url(photo(side=4))]},
    )
    told += client.get(f"/api/jobs/{job.json()['id']}/events").text
    (place / "shapes" / "model.safetensors").write_bytes(b"damaged")
    answer = client.post("/api/jobs", json={"run": "shapes"})
    refused(answer, tmp_path, 422)
    assert "shapes" in answer.text
    for path in (
        "/api/runs",
        "/api/jobs",
        "/api/pictures",
        "/api/trainings",
        "/v1/models",
        "/metrics",
        "/openapi.json",
        "/",
    ):
        found = client.get(path)
        assert found.status_code == 200, path
        told += found.text
    told += client.get(f"/api/pictures/{name}").content.decode("latin-1")
    assert str(tmp_path.parent) not in told  # which holds the folders of other fixtures as well
