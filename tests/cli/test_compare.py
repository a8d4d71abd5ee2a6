"""``ddpm compare`` as people call it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ddpm.records.score import Score
from ddpm.system.console import console

Refused = Callable[..., str]
Cli = Callable[..., int]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A folder with a score whose Fréchet distance is as given: ``write(name, value, low, high, steps=50, n=1000)``."""

    def make(name: str, value: float, low: float, high: float, *, steps: int = 50, n: int = 1000) -> Path:
        same = {"value": 0.512, "low": 0.49, "high": 0.53}
        tree: dict[str, Any] = {
            "made_by": "ddpm",
            "measure": {
                "n": n,
                "features": {"name": "[pixels]", "hash": "f00d", "resize": "none", "dim": 64},
                "reference": {"source": "photos", "hash": "beef", "images": 5000},
                "size": [8, 8],
                "mode": "L",
            },
            "samples": {"source": "run", "hash": "cafe", "seed": 0, "sampling": {"steps": steps}},
            "frechet": {"value": value, "low": low, "high": high, "floor": 3.14159},
            "kid": {"value": 0.0012345, "low": 0.0009, "high": 0.0016},
            "colour": {"mean": [0.0], "std": [1.0], "reference_mean": [0.0], "reference_std": [1.0]},
            "notes": ["the [reference] is small"],
        } | dict.fromkeys(("precision", "recall", "density", "coverage"), same)
        folder = tmp_path / name
        folder.mkdir()
        (folder / "score.json").write_text(Score.model_validate(tree).to_json(), encoding="utf-8")
        return folder

    return make


def test_a_row_for_each_score(
    cli: Cli, write: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", 200)
    assert cli("compare", write("[a]", 12.3456, 11.9, 12.8), write("b", 20, 19, 21) / "score.json") == 0
    lines = capsys.readouterr().out.splitlines()
    [header] = [line for line in lines if "Fréchet" in line and "best" not in line]
    assert " ".join(header.split()) == "Fréchet ↓ KID ↓ precision ↑ recall ↑ density ↑ coverage ↑"
    first = next(i for i, line in enumerate(lines) if line.split()[:1] == ["[a]"])
    assert lines[first].split() == ["[a]", "12.35", "0.00123", *["0.512"] * 4]
    assert lines[first + 1].split()[:4] == ["[11.90,", "12.80]", "[0.00090,", "0.00160]"]
    assert lines[first + 2].split() == ["floor", "3.14"]
    assert lines[first + 3].split()[:2] == ["b", "20.0"]
    assert "best      [a]: Fréchet" in lines
    assert "no winner KID, precision, recall, density, coverage: intervals overlap" in lines
    assert "note      b: the [reference] is small" in lines


def test_only_what_wins_is_bold(write: Write) -> None:
    from ddpm.cli.compare import _table
    from ddpm.evaluation.compare import columns_of, read

    rows = list(read([write("a", 12, 11, 13), write("b", 20, 19, 21)]).values())
    table = _table(["a", "b"], rows, columns_of(rows))
    styles = [[str(cell.style) for cell in column.cells] for column in table.columns]  # type: ignore[union-attr]
    assert styles == [["", ""], ["bold", ""], *[["", ""]] * 5]


def test_a_narrow_terminal_gets_several_tables(cli: Cli, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("compare", write("a", 12.3, 11, 13), write("b", 20, 19, 21)) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert [out.count(title) for title in ("Fréchet ↓", "recall ↑", "coverage ↑")] == [1, 1, 1]
    assert sum(line.split()[:1] == ["a"] for line in out.splitlines()) > 1
    assert "…" not in out


def test_scores_that_were_made_differently(cli: Cli, write: Write, refused: Refused) -> None:
    a, b, c = (write("a", 9, 8, 10), write("b", 9, 8, 10, steps=10), write("c", 9, 8, 10, n=50))
    said = refused("compare", a, b)
    assert f"steps differs: 50 in {a / 'score.json'}, 10 in {b / 'score.json'}; " in said
    assert "--across steps" in said
    assert cli("compare", a, b, "--across", "steps") == 0
    assert cli("compare", a, b, "--across", "seed, steps") == 0
    assert cli("compare", a, b, "--across", "seed", "--across", "steps") == 0
    assert "steps differs" in refused("compare", a, b, "--across", "seed")
    assert "n differs: 1000 in " in refused("compare", a, c, "--across", "steps")


def test_what_is_no_score(write: Write, refused: Refused, tmp_path: Path) -> None:
    a = write("a", 9, 8, 10)
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    assert "at least two" in refused("compare", a)
    assert "at least two" in refused("compare")
    assert "is given twice" in refused("compare", a, a)
    assert "did you mean 'steps'?" in refused("compare", a, write("b", 9, 8, 10), "--across", "step")
    assert "none.json does not exist" in refused("compare", a, tmp_path / "none.json")
    assert "score.json does not exist" in refused("compare", a, tmp_path / "empty")
    assert "other.json was not written by `ddpm evaluate`" in refused("compare", a, tmp_path / "other.json")
