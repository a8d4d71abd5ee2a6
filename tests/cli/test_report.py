"""`ddpm report` and `ddpm plot` through the real command line."""

import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

Refused = Callable[..., str]
Cli = Callable[..., int]


@pytest.fixture(autouse=True, scope="module")
def _empty_charts() -> None:
    """Charts are drawn here."""


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> Path:
    """A copy that may be written to."""
    return shutil.copytree(digits_run, tmp_path / "run")


def test_a_page(cli: Cli, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("report", run) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    out = tmp_path / "elsewhere.html"
    assert cli("report", run, "--out", out) == 0
    assert out.read_bytes() == (run / "report.html").read_bytes()


def test_a_page_on_several_runs(cli: Cli, run: Path, digits_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "both.html"
    assert cli("report", run, digits_run, "--out", out) == 0
    text = out.read_text(encoding="utf-8")
    assert "<b>run</b>: U-Net" in text
    assert "<b>digits</b>: U-Net" in text
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("argv", "size"),
    [
        (["schedule"], (1840, 600)),
        (["loss"], (1840, 600)),
        (["trajectory", "-n", "2", "--label", "3", "--seed", "4"], (2372, 416)),
    ],
)
def test_a_plot(
    argv: list[str], size: tuple[int, int], cli: Cli, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, *flags = argv
    assert cli("plot", kind, run, *flags) == 0
    path = run / "plots" / f"{kind}.png"
    assert capsys.readouterr().out.strip() == str(path)
    with Image.open(path) as image:
        image.load()
        assert image.size == size
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 20


def test_other_formats(cli: Cli, run: Path, tmp_path: Path) -> None:
    assert cli("plot", "trajectory", run, "--out", tmp_path / "new/plot.svg") == 0
    assert cli("plot", "loss", run, "--out", tmp_path / "new/plot.PDF") == 0
    assert ElementTree.parse(tmp_path / "new" / "plot.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "new" / "plot.PDF").read_bytes().startswith(b"%PDF-")


def test_schedules_by_name(cli: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("plot", "schedule", "linear", "cosine", run) == 0
    assert cli("plot", "schedule", "linear", "cosine", run, "--out", "schedule.svg") == 0
    text = Path("schedule.svg").read_text(encoding="utf-8")
    assert [name for name in ("linear", "cosine", "run", "sigmoid") if f">{name}</text>" in text] == [
        *("linear", "cosine", "run")
    ]
    assert Path("schedule.png").exists()
