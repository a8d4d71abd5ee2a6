"""A fraction for a whole number is refused by every command before anything is read."""

import pytest
from cyclopts import Token

from ddpm.cli import main
from ddpm.cli.numbers import exactly

FRACTIONS = (
    *("sample run -n 1.5", "sample run --steps 2.6", "sample run --seed 1.5", "train digits --workers 0.5"),
    *("train digits --micro-batch 2.5", "check photos --workers 0.5", "upscale run small.png --index 0.6"),
    *("outpaint run photo.png --left 1.6", "edit run photo.png --strength 0.5 --batch 7.9"),
    *("interpolate run a.png b.png --steps 4.2", "likelihood run --terms 3.3", "plot samples run --seed -1.5"),
    *("sweep run -n 1.5", "tune run --seed 0.5"),
)


def test_a_fraction_for_a_whole_number(capsys: pytest.CaptureFixture[str]) -> None:
    for line in FRACTIONS:
        *_, flag, value = line.split()
        with pytest.raises(SystemExit) as ended:
            main(line.split())
        assert ended.value.code == 2
        assert capsys.readouterr().err == f"ddpm: {flag} is '{value}'; use an integer\n"


def test_what_can_be_taken_is_taken_as_it_is() -> None:
    for kind, words, value in [
        (int, ["-3"], -3),
        (int | None, ["1000000"], 1_000_000),
        (list[int], ["1", "2"], [1, 2]),
        (float, ["1.5"], 1.5),
        (tuple[float, float] | None, ["0.2", "5"], (0.2, 5.0)),
        (list[str] | None, ["1.5", "a.png"], ["1.5", "a.png"]),
    ]:
        assert exactly(kind, [Token(value=word) for word in words]) == value
