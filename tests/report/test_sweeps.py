"""Where things are on the sheet, and what the chart has of a record."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ddpm.config.sampling import SamplingConfig
from ddpm.metrics.estimate import Estimate
from ddpm.records.score import FeaturesRecord, ReferenceRecord
from ddpm.records.sweep import Cell, FrechetBasis, SweepRecord
from ddpm.report.canvas import DPI, SERIES, to_bytes
from ddpm.report.sweeps import COLUMN, GAP, ROW, chart, samples, strip

N, SIDE, FACTOR = 3, 8, 8
WIDE, HIGH = N * (SIDE * FACTOR + GAP) - GAP, SIDE * FACTOR


def made(quality: bool = True, scales: tuple[float, ...] = (1.0, 2.0), solvers: tuple[str, ...] = ("ddim", "heun")):
    cells = []
    for scale in scales:
        for solver in solvers:
            for steps in (2, 5):
                how = SamplingConfig.of(solver=solver, steps=steps, guidance=scale)
                found = Estimate(value=9.0 - steps, low=8.0 - steps, high=11.0 - steps)
                off = None if solver == "ancestral" else 0.1 / steps
                asked = steps * (2 if solver == "heun" else 1)
                cells.append(Cell(sampling=how, evaluations=asked, distance=off, frechet=found if quality else None))
    how_measured = FrechetBasis(
        n=20,
        features=FeaturesRecord(name="embedded", hash="0", resize="none", dim=4),
        reference=ReferenceRecord(source="digits", hash="0", images=100),
        floor=3.0,
    )
    record = SweepRecord(
        made_by="ddpm",
        run="runs/x",
        weights="0",
        seed=0,
        n=N,
        labels=(),
        solutions=tuple(SamplingConfig.of(solver="dpm++-2m", steps=200, guidance=scale) for scale in scales),
        cells=tuple(cells),
        quality=how_measured if quality else None,
    )
    rng = np.random.default_rng(0)
    shown = [rng.integers(0, 256, (N, SIDE, SIDE, 3)).astype(np.uint8) for _ in cells]
    solved = [rng.integers(0, 256, (N, SIDE, SIDE, 3)).astype(np.uint8) for _ in scales]
    return record, shown, solved


def test_a_strip_on_white() -> None:
    images = np.zeros((2, 1, 1, 4), np.uint8)
    images[1] = (10, 20, 30, 255)
    found = strip(images, 3)
    assert found.shape == (3, 3 + GAP + 3, 3)
    assert (found[:, : 3 + GAP] == 255).all()
    assert (found[:, 3 + GAP :] == (10, 20, 30)).all()


def test_every_image_has_its_place_on_the_sheet() -> None:
    record, shown, solved = made()
    fig = samples(record, shown, solved)
    assert len(fig.axes) == 2
    for block, ax in enumerate(fig.axes):
        page = np.asarray(ax.images[0].get_array())
        assert page.shape == (3 * (HIGH + ROW) - ROW, 2 * (WIDE + COLUMN) - COLUMN, 3)
        for k, images in enumerate([*shown[4 * block : 4 * block + 4], None, solved[block]]):
            row, column = divmod(k, 2)
            found = page[row * (HIGH + ROW) :][:HIGH, column * (WIDE + COLUMN) :][:, :WIDE]
            assert np.array_equal(found, np.full_like(found, 255) if images is None else strip(images, FACTOR))
        box = ax.get_position()
        pixels = (box.width * fig.get_figwidth() * DPI, box.height * fig.get_figheight() * DPI)
        assert pixels == pytest.approx((page.shape[1], page.shape[0]))


def test_no_caption_covers_another_or_an_image() -> None:
    record, shown, solved = made(solvers=("ddim", "sde-dpm++-2m"))
    fig = samples(record, shown, solved)
    renderer = FigureCanvasAgg(fig).get_renderer()
    for ax in fig.axes:
        boxes = [text.get_window_extent(renderer) for text in ax.texts]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        assert all(box.x0 >= 0 and box.y1 <= fig.bbox.y1 for box in boxes)


def test_lines_of_the_chart() -> None:
    fig = chart(made()[0])
    quality, off = fig.axes
    assert quality.get_ylabel() == "Fréchet distance"
    assert off.get_ylabel() == "distance from the 200-step solution"
    lines = [line for line in quality.lines if len(line.get_xdata()) == 2 and line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in lines] == [[2, 5], [4, 10]] * 2
    assert [list(line.get_ydata()) for line in lines] == [[7, 4]] * 4
    assert [line.get_color() for line in lines] == [SERIES[0], SERIES[1]] * 2
    assert len({line.get_linestyle() for line in lines}) == 2
    assert [list(line.get_ydata()) for line in off.lines] == [[0.05, 0.02]] * 4
    assert quality.get_xscale() == off.get_xscale() == "log"
    assert any(list(line.get_ydata()) == [3.0, 3.0] for line in quality.lines)
    assert [text.get_text() for text in quality.get_legend().get_texts()] == [
        "ddim",
        "heun",
        "guidance 1",
        "guidance 2",
    ]


def test_a_chart_has_the_panels_that_there_are_numbers_for() -> None:
    assert [ax.get_ylabel() for ax in chart(made(quality=False)[0]).axes] == ["distance from the 200-step solution"]
    assert [ax.get_ylabel() for ax in chart(made(solvers=("ancestral",))[0]).axes] == ["Fréchet distance"]
    assert chart(made(quality=False, solvers=("ancestral",))[0]) is None


def test_the_same_bytes_again() -> None:
    record, shown, solved = made(scales=(1.0,))
    assert to_bytes(samples(record, shown, solved), "png") == to_bytes(samples(record, shown, solved), "png")
    assert to_bytes(chart(record), "png") == to_bytes(chart(record), "png")
