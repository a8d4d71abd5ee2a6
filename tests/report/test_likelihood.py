from pathlib import Path

from PIL import Image

from ddpm.report.canvas import figure
from ddpm.report.likelihood import headline, panels, plot
from ddpm.report.reading import read

from .conftest import Bits
from .scores import make_bits


def test_they_come_oldest_first_without_what_cannot_be_read(run: Path, bits: Bits) -> None:
    for name in ("b", "c", "a"):
        bits(name, make_bits("w", made_by=name))
    (bits("broken", make_bits("w")) / "bits.json").write_text('{"format": 3}')
    (run / "likelihood" / "answers").mkdir()
    assert [record.made_by for record in read(run).likelihoods] == ["b", "c", "a"]


def test_the_headline_is_a_bound_of_the_runs_own_weights_with_most_levels(run: Path, bits: Bits) -> None:
    def best() -> str | None:
        found = headline(read(run).likelihoods, "own")
        return found and found.made_by

    assert best() is None
    bits("ode", make_bits("own", steps=None, made_by="ode"))
    assert best() is None
    bits("other", make_bits("other", steps=9, made_by="other"))
    assert best() == "other"
    bits("own", make_bits("own", steps=3, made_by="3"))
    assert best() == "3"
    bits("more", make_bits("own", steps=4, made_by="4"))
    bits("fewer", make_bits("own", steps=2, made_by="2"))
    assert best() == "4"


def test_a_bound_is_drawn_by_level_and_cumulated(tmp_path: Path) -> None:
    """A drawn term counts for all pairs of levels that it stands for; of an ODE nothing is drawn."""
    record = make_bits("w")
    assert record.levels is not None
    drawn = record.model_copy(update={"levels": record.levels.model_copy(update={"pairs": (5, 4, 1)})})
    by_level, cumulative = figure(*panels(drawn).values()).axes
    kl, decoder = by_level.get_lines()
    assert kl.get_xydata().tolist() == [[10, 0.025], [5, 0.125]]
    assert decoder.get_xydata().tolist() == [[1, 2]]
    share = cumulative.get_lines()[0]
    assert share.get_xdata().tolist() == [1, 5, 10]
    # all but the prior's
    assert share.get_ydata().tolist() == [2 / 2.875, 2.5 / 2.875, 2.625 / 2.875]
    plot(make_bits("w", steps=None), tmp_path)
    assert list(tmp_path.iterdir()) == []
    plot(make_bits("w"), tmp_path)
    with Image.open(tmp_path / "bits.png") as picture:
        assert picture.width > picture.height
