"""OpenAI's own client, and what it makes of errors."""

import base64
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import openai
import pytest
from openai import OpenAI, UnprocessableEntityError
from PIL import Image
from starlette.testclient import TestClient

from ddpm.engine.run import LoadedRun
from ddpm.serve import drawing
from ddpm.serve.server import Server
from ddpm.system import files
from ddpm.tasks.edit import edit
from ddpm.tasks.generate import sample
from ddpm.tasks.inpaint import inpaint
from serve.conftest import TOKEN, photo


@pytest.fixture
def theirs(client: TestClient) -> OpenAI:
    return OpenAI(api_key=TOKEN, base_url="http://testserver/v1", http_client=client, max_retries=0)


def picture(data: str | None) -> np.ndarray:
    assert data is not None
    return np.asarray(Image.open(BytesIO(base64.b64decode(data))))


def file(image: Image.Image) -> tuple[str, bytes, str]:
    out = BytesIO()
    image.save(out, "PNG")
    return "../../x.png", out.getvalue(), "image/png"


def test_generate(theirs: OpenAI, shapes: LoadedRun, hearts: LoadedRun) -> None:
    found = theirs.images.generate(model="shapes", prompt="star", n=2, extra_body={"seed": 7})
    for one, alone in zip(found.data or [], sample(shapes, 2, label="star", seed=7), strict=True):
        np.testing.assert_array_equal(picture(one.b64_json), np.asarray(alone))
    found = theirs.images.generate(
        model="hearts",
        prompt="red heart",
        size="16x8",
        quality="high",
        extra_body={"seed": 7, "steps": 2},  # type: ignore[call-overload]
    )
    [alone] = sample(hearts, prompt="red heart", seed=7, steps=2, size=(8, 16))
    np.testing.assert_array_equal(picture(found.data[0].b64_json), np.asarray(alone))


def test_edit_with_and_without_a_mask(theirs: OpenAI, shapes: LoadedRun) -> None:
    """Transparent pixels of the mask are filled, the others stay."""
    own, mask = photo(), Image.new("RGBA", (8, 8), "white")
    mask.paste((0, 0, 0, 0), (4, 0, 8, 8))
    given = {"model": "shapes", "image": file(own), "prompt": "star", "extra_body": {"seed": 7}}
    found = theirs.images.edit(mask=file(mask), **given)  # type: ignore[arg-type]
    filled = Image.new("L", (8, 8))
    filled.paste(255, (4, 0, 8, 8))
    alone = inpaint(shapes, own, filled, label="star", seed=7)
    np.testing.assert_array_equal(picture(found.data[0].b64_json), np.asarray(alone))  # type: ignore[index]
    np.testing.assert_array_equal(np.asarray(alone)[:, :4], np.asarray(own)[:, :4])
    found = theirs.images.edit(**given)  # type: ignore[arg-type]
    alone = edit(shapes, own, strength=0.6, fit="crop", label="star", seed=7)
    np.testing.assert_array_equal(picture(found.data[0].b64_json), np.asarray(alone))  # type: ignore[index]
    more = {"seed": 7, "steps": 3, "solver": "ddim", "grid": "quadratic", "guidance": 2.0, "label": "circle"}
    found = theirs.images.edit(model="shapes", image=file(own), prompt=" ", extra_body=more)  # type: ignore[arg-type]
    alone = edit(shapes, own, strength=0.6, fit="crop", **more)
    np.testing.assert_array_equal(picture(found.data[0].b64_json), np.asarray(alone))  # type: ignore[index]
    with pytest.raises(UnprocessableEntityError, match="size has no effect"):
        theirs.images.edit(size="256x256", **given)  # type: ignore[arg-type]


def test_models(theirs: OpenAI) -> None:
    assert [model.id for model in theirs.models.list()] == ["shapes", "hearts"]
    assert theirs.models.retrieve("hearts").owned_by == "ddpm"
    with pytest.raises(openai.NotFoundError, match="nothing"):
        theirs.models.retrieve("nothing")


def test_streaming(theirs: OpenAI, server: Server, shapes: LoadedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = drawing.draw

    def once_heard(batches, *given):  # type: ignore[no-untyped-def]
        while not server.events.heard(batches[0][1].ticket.id):
            time.sleep(0.005)
        return draw(batches, *given)

    monkeypatch.setattr(drawing, "draw", once_heard)
    events = list(
        theirs.images.generate(
            model="shapes", prompt="star", stream=True, partial_images=2, extra_body={"seed": 7, "steps": 12}
        )
    )
    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    [alone] = sample(shapes, label="star", seed=7, steps=12)
    np.testing.assert_array_equal(picture(events[-1].b64_json), np.asarray(alone))


def test_errors(theirs: OpenAI, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ({"size": "64"}, {"n": 65}, {"prompt": "x" * 5000}, {"size": "4096x4096"}):
        with pytest.raises(openai.UnprocessableEntityError):
            theirs.images.generate(**{"model": "shapes", "prompt": "star", **given})  # type: ignore[arg-type]
    with pytest.raises(openai.NotFoundError, match="circle, square, star"):
        theirs.images.generate(model="shapes", prompt="hexagon")
    with pytest.raises(openai.UnprocessableEntityError, match="not a usable picture"):
        theirs.images.edit(image=("x.png", b"GIF89a", "image/png"), prompt="star")
    with pytest.raises(openai.AuthenticationError):
        theirs.with_options(api_key="another").models.list()
    monkeypatch.setattr(drawing, "draw", lambda *given: 1 / 0)
    with pytest.raises(openai.InternalServerError, match="internal server error"):
        theirs.images.generate(model="shapes", prompt="star")
    assert server.worker.is_alive()


def test_a_full_disk_fails_the_job_alone(
    theirs: OpenAI, server: Server, shapes: LoadedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files.write_synced

    def full(path: Path, data: bytes) -> None:
        if path.parent == server.store.pictures:
            raise OSError(28, "No space left on device")
        write(path, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "write_synced", full)
        with pytest.raises(openai.APIStatusError, match="no space left") as refused:
            theirs.images.generate(model="shapes", prompt="star")
        assert str(tmp_path) not in str(refused.value)
    assert not list(server.store.pictures.iterdir())
    assert theirs.images.generate(model="shapes", prompt="star").data
