"""The page, in a real browser."""

import base64
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit
from zipfile import ZipFile

import numpy as np
import pytest
import uvicorn
from PIL import Image
from pydantic import TypeAdapter

from ddpm.config.network import NetworkSettings
from ddpm.serve.app import create
from ddpm.serve.catalog import Catalog
from ddpm.serve.server import Server
from ddpm.serve.training import Trainings
from ddpm.serve.worker import Worker
from random_runs import random_run
from tiny import NETWORKS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TOKEN = "a token of the tests"
NASTY = "<script>document.title='hacked'</script>"
PATIENCE = 200_000
"""Milliseconds to wait for what takes one on an idle machine."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@dataclass
class Studio:
    """An open page, and what happened on it.

    Attributes:
        hosts: those that it sent requests to.
        errors: of its scripts.
    """

    page: Any
    address: str
    hosts: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def go(self, tab: str, width: int = 1280) -> Any:
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.goto(f"{self.address}/#{tab}")
        self.page.reload()
        self.page.wait_for_selector("html[data-ready]")
        self.page.wait_for_selector("#about-run:not(:text('loading'))", state="attached")
        return self.page

    def json(self, path: str) -> Any:
        return self.page.request.get(f"{self.address}/api/{path}").json()

    def picture(self, name: str) -> np.ndarray:
        return np.asarray(Image.open(BytesIO(self.page.request.get(f"{self.address}/api/pictures/{name}").body())))


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A server of a random run, and its page; in the end, no request went to another host, and no script failed."""
    from playwright.sync_api import sync_playwright

    folder = tmp_path_factory.mktemp("studio")
    random_run(
        folder / "shapes",
        TypeAdapter(NetworkSettings).dump_python(NETWORKS["unet"]),
        classes=(NASTY, "square", "star"),
        dropout=0.1,
    )
    (folder / "data").mkdir()
    (folder / "out" / "runs").mkdir(parents=True)
    trainings = Trainings(folder / "data", folder / "out" / "runs", folder / "out" / "uploads")
    server = Server.of(Catalog([folder / "shapes", folder / "out" / "runs"], 1 << 30), folder / "out", TOKEN, trainings)
    app = create(server, frozenset({"127.0.0.1"}))
    http = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="warning", ws="none"))
    thread = threading.Thread(target=http.run)
    thread.start()
    try:
        while not http.started:
            time.sleep(0.01)
        address = f"http://127.0.0.1:{http.servers[0].sockets[0].getsockname()[1]}"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            studio = Studio(page, address)
            page.on("request", lambda request: studio.hosts.add(urlsplit(request.url).netloc))
            page.on("pageerror", lambda error: studio.errors.append(str(error)))
            page.goto(f"{address}/?token={TOKEN}")
            yield studio
            browser.close()
            assert studio.hosts == {urlsplit(address).netloc}, "a request left the machine"
            assert studio.errors == []
    finally:
        trainings.stop()
        http.should_exit = True
        thread.join()


def generated(page: Any, *, label: str = "star", seed: int = 5, steps: int = 12) -> str:
    """Generate a picture on the page; returns its name."""
    if page.get_attribute(f"#labels button:text-is('{label}')", "aria-pressed") != "true":
        page.click(f"#labels button:text-is('{label}')")
    page.fill("[name=number]", "1")
    page.fill("[name=seed]", str(seed))
    page.fill("[name=steps]", str(steps))
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".card[data-state=done]")
    page.wait_for_selector("#gallery .frame")
    return str(page.get_attribute("#gallery .frame", "data-name"))


def test_generates_before_the_eyes(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """A label and a seed give a picture, which is seen as it forms."""
    watch = Worker._watch

    def slowly(*given: Any) -> None:
        watch(*given)
        time.sleep(0.03)  # as a real network is; else the page may show the last frame alone

    monkeypatch.setattr(Worker, "_watch", slowly)
    page = studio.go("generate")
    page.evaluate(
        """() => {
            window.seen = new Set();
            const note = ({target}) => target.src.startsWith("data:image/png") && seen.add(target.src);
            new MutationObserver((all) => all.forEach(note))
                .observe(document.body, {subtree: true, attributes: true, attributeFilter: ["src"]});
        }"""
    )
    record = studio.json(f"pictures/{generated(page, seed=7, steps=60)}/record")
    assert (record["label"], record["seed"], record["sampling"]["steps"]) == ("star", 7, 60)
    assert page.evaluate("seen.size") >= 3


def test_fills_what_is_painted(studio: Studio) -> None:
    """The mask that is painted is filled, and nothing else changes."""
    page = studio.go("generate")
    before = generated(page)
    page.click("#gallery .frame")
    page.click("#viewer button:text-is('Inpaint')")
    box = page.locator("#mask").bounding_box()
    side = box["width"] / 8
    page.fill("#brush-size", "1")
    page.mouse.move(box["x"] + 1.5 * side, box["y"] + 2.5 * side)
    page.mouse.down()
    page.mouse.move(box["x"] + 4.5 * side, box["y"] + 2.5 * side)
    page.mouse.up()
    page.click("#submit")
    page.wait_for_selector(".card:has-text('inpaint')[data-state=done]")
    after = studio.json("pictures")[0]
    changed = (studio.picture(before) != studio.picture(after)).any(-1)
    assert studio.json(f"pictures/{after}/record")["work"]["command"] == "inpaint"
    assert changed[2, 1:5].any()
    changed[2, 1:5] = False
    assert not changed.any()


def test_a_dropped_picture_gives_its_settings(studio: Studio) -> None:
    """The settings of a picture, and its place among those of its seed, come back and draw the same picture."""
    page = studio.go("generate")
    settings = {"solver": "heun", "steps": 4, "guidance": 2}
    ask = {"run": "shapes", "label": "star", "n": 3, "seed": 99, "settings": settings}
    sent = page.request.post(f"{studio.address}/api/jobs", data=ask, headers={"origin": studio.address})
    id = sent.json()["id"]
    while studio.json(f"jobs/{id}")["state"] != "done":
        time.sleep(0.05)
    name = studio.json(f"jobs/{id}")["pictures"][2]
    png = page.request.get(f"{studio.address}/api/pictures/{name}").body()
    page.evaluate(
        """(text) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], "kept.png", {type: "image/png"}));
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true}));
        }""",
        base64.b64encode(png).decode(),
    )
    page.wait_for_selector("#notice:has-text('seed 99')")
    values = {name: page.input_value(f"[name={name}]") for name in ("seed", "steps", "solver", "guidance")}
    assert values == {"seed": "99", "steps": "4", "solver": "heun", "guidance": "2"}
    assert page.locator("#labels [aria-pressed=true]").all_text_contents() == ["star"]
    page.click("#submit")
    page.wait_for_selector(".card[data-state=done]")
    assert (studio.picture(studio.json("pictures")[0]) == studio.picture(name)).all()


def test_compares(studio: Studio) -> None:
    """Solvers and steps make a table of pictures of one seed."""
    page = studio.go("compare")
    page.fill("#axes textarea", "2, 3")
    for solver in ("ddim", "heun"):
        page.click(f"#axes button:text-is('{solver}')")
    page.click("#submit")
    page.wait_for_selector("#comparison [data-name] >> nth=3")
    names = page.locator("#comparison [data-name]").evaluate_all("(all) => all.map((one) => one.dataset.name)")
    records = [studio.json(f"pictures/{name}/record") for name in names]
    found = [(one["sampling"]["solver"]["name"], one["sampling"]["steps"]) for one in records]
    assert found == [("ddim", 2), ("ddim", 3), ("heun", 2), ("heun", 3)]
    assert len({one["seed"] for one in records}) == 1


def test_trains(studio: Studio) -> None:
    """A training that is started on the page shows a preview, and can be stopped."""
    page = studio.go("runs")
    page.fill("[name=name]", "mine")
    page.fill("[name=budget]", "500k")
    page.fill("[name=size]", "4")
    page.click(".training-form .primary")
    page.wait_for_selector(".training img")
    shown = studio.json("trainings/mine")
    assert shown["state"] == "running"
    preview = page.request.get(f"{studio.address}/api/runs/mine/previews/{shown['preview']}")
    assert Image.open(BytesIO(preview.body())).format == "PNG"
    page.click(".training button:text-is('Stop')")
    page.wait_for_selector(".training[data-state=stopped] button:text-is('Resume')")


def test_takes_an_archive(studio: Studio) -> None:
    """An archive of pictures is uploaded, and can then be trained on; another file is refused in one line."""
    page = studio.go("runs")
    packed, picture = BytesIO(), BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    with ZipFile(packed, "w") as archive:
        archive.writestr("a.png", picture.getvalue())
    for name, content in (("cats.zip", packed.getvalue()), ("dogs.zip", b"no archive")):
        file = {"name": name, "mimeType": "application/zip", "buffer": content}
        page.set_input_files(".training-form input[type=file]", file)
        page.wait_for_selector(f"#notice:has-text('{name}')")
    assert page.get_attribute("#notice", "class") == "error"
    assert page.input_value(".training-form [name=source]") == "cats.zip"
    page.click("text=Remove the upload")
    page.wait_for_selector("#notice:has-text('cats.zip is removed')")
    assert page.input_value(".training-form [name=source]") == "digits"
    assert page.is_hidden("text=Remove the upload")


def test_words_of_others_are_text(studio: Studio) -> None:
    """A class may be called like markup, and errors are one line."""
    page = studio.go("generate")
    assert NASTY in page.locator("#labels button").all_text_contents()
    assert page.title() == "ddpm"
    page.fill("[name=grid]", "<b>nonsense</b>")
    page.click("#submit")
    page.wait_for_selector("#notice.error")
    assert "<b>nonsense</b>" in page.text_content("#notice")
    page.keyboard.press("Escape")
    assert page.is_hidden("#notice")


def test_fits_a_telephone(studio: Studio) -> None:
    """Nothing is wider than the screen."""
    page = studio.go("generate", width=390)
    for tab in ("generate", "edit", "compare", "runs"):
        page.click(f"nav a[href='#{tab}']")
        page.wait_for_selector(f"nav a[href='#{tab}'][aria-current]")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, tab
