"""benchmarks/recipe.py: the intervals of its means and ratios, and images that no way may train on."""

import numpy as np
import pytest
from scipy.stats import t as student

from ddpm.metrics.estimate import Estimate


def test_a_mean_of_three_seeds_has_students_interval():
    from recipe_study.quality import mean

    found = mean([Estimate(value=value, low=value - 1, high=value + 1) for value in (4.0, 5.0, 9.0)])
    half = student.ppf(0.975, 2) * np.std([4, 5, 9], ddof=1) / 3**0.5
    assert (found.value, found.low, found.high) == pytest.approx((6, 6 - half, 6 + half))


def test_a_mean_of_two_seeds_has_the_interval_of_their_images():
    from recipe_study.quality import mean

    found = mean([Estimate(value=4, low=1, high=7), Estimate(value=8, low=4, high=12)])
    assert (found.value, found.low, found.high) == pytest.approx((6, 3.5, 8.5))


def test_a_ratio_is_paired_by_seed():
    """Seeds that differ by far, but each by the same factor between the ways, leave no doubt."""
    from recipe_study.quality import ratio

    below = [Estimate(value=value, low=0.9 * value, high=1.1 * value) for value in (1.0, 10.0, 100.0)]
    above = [Estimate(value=one.value / 2, low=one.low / 2, high=one.high / 2) for one in below]
    found = ratio(above, below)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    one = ratio(above[:1], below[:1])
    assert one.low < 0.5 * 0.9
    assert one.high > 0.5 * 1.1


def test_a_fifth_of_each_class_is_held_out(tmp_path):
    from recipe_study.data import split

    images = split(tmp_path / "out", "digits", None, None, None)
    train, held = images.train, images.reference
    assert len(train) + len(held) == 1797
    counts = np.bincount(held.labels), np.bincount(train.labels)
    assert all(-(-(a + b) // 5) - 1 <= a <= -(-(a + b) // 5) for a, b in zip(*counts, strict=True))
    assert not {image.tobytes() for image in held.images} & {image.tobytes() for image in train.images}
    with pytest.raises(SystemExit, match="other images"):
        split(tmp_path / "out", "digits", "digits", None, None)
