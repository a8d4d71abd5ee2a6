"""What a log is told of how far a command is."""

import pytest

from ddpm.cli import progress
from ddpm.cli.progress import LoggedBar


@pytest.mark.parametrize(
    ("long", "told"), [("", ["reference     25 %", "6 steps       50 %", "6 steps       100 %"]), ("6", ["50", "100"])]
)
def test_a_log_has_a_line_a_tenth(
    long: str, told: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "QUIET", 0.0)
    with LoggedBar(long, "tuning") as bar:
        for what, done in (("reference", 1), ("reference", 10), ("6 steps", 20), ("6 steps", 21), ("6 steps", 40)):
            bar(done, 40, what)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(told)
    assert all(words in line for words, line in zip(told, lines, strict=True))
    assert all("left" in line for line in lines)
    assert bar.done == 40


def test_a_log_is_quiet_at_first(capsys: pytest.CaptureFixture[str]) -> None:
    with LoggedBar("") as bar:
        bar(20, 40, "reference")
    assert capsys.readouterr().out == ""
