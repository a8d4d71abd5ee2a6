from pathlib import Path

import numpy as np
import pytest

from ddpm.core import Level
from ddpm.pipeline import load
from ddpm.report.canvas import DPI
from ddpm.report.trajectory import draw, snr_label


def test_the_picture_has_a_row_for_each_sample(digits_run: Path) -> None:
    """Each pixel of an image is a square of whole pixels, so its values are those of the image."""
    stages = load(digits_run, "cpu").trajectory(2, steps=3).stages
    fig = draw(stages)
    blocks = [np.asarray(ax.images[0].get_array()) for ax in fig.axes]
    assert [block.shape for block in blocks] == [(2 * 9 - 1, 4 * 9 - 1)] * 2
    for block, kind in zip(blocks, ("x", "x0"), strict=True):
        for column, stage in enumerate(stages):
            for row in range(2):
                image = block[9 * row : 9 * row + 8, 9 * column : 9 * column + 8]
                assert np.array_equal(image, getattr(stage, kind)[row, ..., 0])
    for ax in fig.axes:
        wide = ax.get_position().width * fig.get_figwidth() * DPI
        assert wide / 35 == pytest.approx(round(wide / 35), abs=1e-6)


def test_ratios() -> None:
    for alpha, sigma, said in [
        (1, 0, "clean"),
        (0, 1, "noise"),
        (1, 1, "0 dB"),
        (1, 1.04, "0 dB"),
        (1, 10, "−20 dB"),
        (10, 1, "+20 dB"),
    ]:
        assert snr_label(Level(1.0, alpha, sigma)) == said
