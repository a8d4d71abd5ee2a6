import re
import sys
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from ddpm.core import discrete
from ddpm.metrics.estimate import Estimate
from ddpm.report import charts
from ddpm.report.canvas import DPI, SIZE, VARIABLES, figure, inline, to_bytes
from ddpm.report.page import render
from ddpm.report.reading import read
from ddpm.system.errors import InputError

SCHEDULES = {"cosine": discrete.cosine(20), "linear": discrete.linear(20)}
LOSS = ([1, 10, 100], [0.5, 0.2, 0.1])
POINTS = [(5, Estimate(value=9, low=8, high=10)), (10, Estimate(value=5, low=4, high=7))]
CURVES = [charts.Series("a", POINTS, best=1), charts.Series("b", POINTS, 1), charts.Series("c", POINTS, None)]
PANELS = {
    "signal": charts.signal_and_noise(SCHEDULES),
    "signal of one": charts.signal_and_noise({"cosine": SCHEDULES["cosine"]}, [SCHEDULES["cosine"].level(20)]),
    "ratio": charts.log_snr(SCHEDULES),
    "loss": charts.loss(LOSS, ([10], [0.3])),
    "no held-out loss": charts.loss(LOSS, ([], [])),
    "by level": charts.loss_by_level([(k, {3: 1 / k, 9: 2 / k}) for k in range(1, 12)]),
    "by calls": charts.by_calls(CURVES, charts.Floor(9, 2.0)),
    "by minutes": charts.by_minutes(CURVES, None),
}


def test_a_chart_on_a_page() -> None:
    for name in PANELS:
        text = inline(figure(PANELS[name]), name)
        root = ElementTree.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.get("aria-label") == name
        assert root.get("width") is None
        ids = [node.get("id") for node in root.iter() if node.get("id")]
        assert len(ids) == len(set(ids))
        assert all(str(one).startswith(name.replace(" ", "-")) for one in ids)
        assert set(re.findall(r'(?:href="|url\()#([\w-]+)', text)) == set(ids)
        assert not re.findall(r"#[0-9a-f]{6}\b", text), "a colour that does not follow the reader's"
        assert "DejaVu" not in text
        assert text == inline(figure(PANELS[name]), name)


def test_every_colour_is_one_of_the_pages_in_light_and_dark() -> None:
    template = files("ddpm.report").joinpath("template.html").read_text(encoding="utf-8")
    for variable in VARIABLES.values():
        if variable != "currentColor":
            assert len(re.findall(rf"{variable[4:-1]}: #[0-9a-f]{{6}};", template)) == 2


def test_a_file_is_the_same_at_every_time() -> None:
    for format in ["png", "svg", "pdf"]:
        assert to_bytes(figure(PANELS["signal"]), format) == to_bytes(figure(PANELS["signal"]), format)


def test_panels_are_side_by_side() -> None:
    with Image.open(BytesIO(to_bytes(figure(PANELS["loss"], PANELS["ratio"]), "png"))) as image:
        assert image.size == (round(2 * SIZE[0] * DPI), round(SIZE[1] * DPI))


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_without_the_extra(package: str, digits_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf'{package}.* pip install "ddpm\[report\]"'):
        render(read(digits_run))
