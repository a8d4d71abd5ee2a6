"""What is drawn is what was given."""

import math
from itertools import cycle, product

import numpy as np
import pytest

from ddpm import build
from ddpm.core import Continuous, discrete
from ddpm.core.continuous import VE, VP, EDMProcess, Flow, SubVP
from ddpm.metrics.estimate import Estimate
from ddpm.report import charts
from ddpm.report.canvas import FAINT, SERIES, SIZE, Draw, figure
from ddpm.report.charts import _ticks
from ddpm.sampling.grid import trailing


def lines(draw: Draw) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Label -> x and y of each labelled line."""
    (ax,) = figure(draw).axes
    return {str(line.get_label()): (np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in ax.lines}


def test_signal_and_noise() -> None:
    cosine = discrete.cosine(40)
    drawn = lines(charts.signal_and_noise({"cosine": cosine}, trailing(cosine, 4)))
    levels = [cosine.level(i) for i in range(41)]
    assert drawn["alpha (signal)"][1].tolist() == [level.alpha for level in levels]
    assert drawn["sigma (noise)"][1].tolist() == [level.sigma for level in levels]
    assert drawn["4 steps"][0].tolist() == pytest.approx([40, 30, 20, 10, 0], rel=1e-12)


def test_the_ticks_of_any_grid() -> None:
    """As many as there are levels, falling from T to 0, whole or not; each grid on either chart."""
    both = cycle((charts.signal_and_noise, charts.log_snr))
    for (name, make), chart in zip(product(["linear", "ve", "flow"], build.GRIDS.values()), both, strict=False):
        s = build.SCHEDULES[name](40)
        grid = make(s, 3)
        timesteps = lines(chart({name: s}, grid))["3 steps"][0]
        assert (timesteps[0], timesteps[-1]) == pytest.approx((40, 0), rel=1e-12)
        assert (np.diff(timesteps) < 0).all()
        for timestep, level in zip(timesteps, grid, strict=True):
            assert s.level(timestep).sigma == pytest.approx(level.sigma, rel=1e-9)


def test_the_ratio_of_a_level_without_signal_has_no_logarithm() -> None:
    s = discrete.zero_terminal_snr(discrete.linear(30))
    i, ratio = lines(charts.log_snr({"linear": s}))["linear"]
    assert i.tolist() == list(range(1, 30))
    assert ratio == pytest.approx([math.log(s.level(k).snr) for k in range(1, 30)], abs=1e-12)


def test_a_process_in_continuous_time() -> None:
    """Ticks are where the grid's levels are on the axis, whatever the network is fed; no point is infinite."""
    for curve in [VP(), SubVP(), VE(), EDMProcess(), Flow()]:
        s = Continuous(curve, 40)
        grid = trailing(s, 4)
        for draw in (charts.signal_and_noise({"it": s}, grid), charts.log_snr({"it": s}, grid)):
            drawn = lines(draw)
            assert drawn["4 steps"][0].tolist() == pytest.approx([40, 30, 20, 10, 0], rel=1e-12)
            assert all(np.isfinite(y).all() for _, y in drawn.values())
        i, ratio = drawn["it"]
        noisy = [k for k in range(1, 41) if s.level(k).alpha > 0]
        assert i.tolist() == noisy
        assert ratio == pytest.approx([math.log(s.level(k).snr) for k in noisy], abs=1e-12)


def test_loss_before_the_first_step_has_no_place_on_a_logarithm() -> None:
    drawn = lines(charts.loss(([5, 10], [0.5, 0.25]), ([0, 10], [0.9, 0.3])))
    assert drawn["training"][0].tolist() == [5, 10]
    assert (drawn["held-out"][0].tolist(), drawn["held-out"][1].tolist()) == ([10], [0.3])


def test_stages_of_the_loss_are_thinned_out_to_the_first_and_last() -> None:
    for n in [1, 2, 5, 6, 23]:
        drawn = lines(charts.loss_by_level([(k, {1: 0.5 + k, 9: 0.25}) for k in range(n)]))
        assert next(iter(drawn)) == "0"
        assert list(drawn)[-1] == str(n - 1)
        assert len(drawn) == min(n, 5)
        assert drawn[str(n - 1)][1].tolist() == [n - 0.5, 0.25]


def test_intervals_reach_from_low_to_high() -> None:
    points = [(5, Estimate(value=9, low=8, high=11)), (10, Estimate(value=5, low=4, high=5.5))]
    (ax,) = figure(charts.by_calls([charts.Series("ddim", points)], charts.Floor(9, None))).axes
    (bars,) = ax.collections
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert ends == [[8, 11], [4, 5.5]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["5", "10"]


def test_a_grey_line_has_no_intervals() -> None:
    points = [(5, Estimate(value=9, low=8, high=11)), (10, Estimate(value=5, low=4, high=5.5))]
    curves = [charts.Series("a", points), charts.Series("b", points, None), charts.Series("c", points, 1)]
    (ax,) = figure(charts.by_calls(curves, charts.Floor(9, 2.0))).axes
    assert len(ax.collections) == 2
    texts = ax.get_legend().get_texts()
    lines = [line.get_color() for line in ax.get_legend().get_lines()]
    assert [text.get_text() for text in texts] == ["a", "c", "b", "9 real images"]
    assert lines == [*SERIES[:2], FAINT, FAINT]


def test_a_panel_grows_with_its_legend() -> None:
    points = [(5, Estimate(value=9, low=8, high=11)), (10, Estimate(value=5, low=4, high=5.5))]
    heights = []
    for n in (1, 2, 8):
        curves = [charts.Series(f"a way of sampling with a long name, {k}", points) for k in range(n)]
        heights.append(figure(charts.by_calls(curves, charts.Floor(9, None))).get_figheight())
    assert heights[0] == heights[1] == SIZE[1]
    assert heights[2] > SIZE[1] + 1


def test_ticks_lie_between_the_ends_and_leave_room() -> None:
    for low, high in [(0.11, 0.6), (0.5, 2e5), (1e-6, 1e6), (0.2, 0.21), (3, 3.0001)]:
        ticks = _ticks(low, high)
        assert len(ticks) <= 7
        assert all(low <= tick <= high for tick in ticks)
        assert high / low < 2 or len(ticks) >= 3
