from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from ddpm.evaluation import sweep, tune
from ddpm.report import page

Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def _short_references(monkeypatch: pytest.MonkeyPatch) -> None:
    """The solutions in many steps that those in few are compared with take 20 instead of 200."""
    monkeypatch.setattr(sweep, "MANY", 20)
    monkeypatch.setattr(tune, "AskTune", partial(tune.AskTune, reference=20))


@pytest.fixture(autouse=True, scope="module")
def _empty_charts() -> Iterator[None]:
    """Charts on pages have a title and nothing else, but for tests of the page, here and in ``tests/report``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "figure", lambda *panels, height=0.0: None)
        patch.setattr(page, "inline", lambda figure, title: f"<svg><title>{title}</title></svg>")
        yield


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, and what its file holds."""
    if not folder.exists():
        return {}
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.fixture
def refused(cli: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must end with code 2 and one line on stderr, and leave ``kept`` as it was; the line."""

    def run(*argv: str | Path, kept: Path | None = None) -> str:
        before = snapshot(kept) if kept else {}
        capsys.readouterr()
        code = cli(*argv)
        err = capsys.readouterr().err
        assert code == 2, err
        assert err.count("\n") == 1, err
        assert err.startswith("ddpm: "), err
        if kept:
            assert snapshot(kept) == before
        return err

    return run
