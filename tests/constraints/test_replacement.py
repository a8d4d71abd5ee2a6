"""Replacement: y in the noisy image."""

import torch

from cases import cases
from ddpm.constraints import Mask, Replacement
from ddpm.core import Level

from .observed import KNOWN, OPERATORS, SHAPE, matrices

X = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
Z = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
IMAGE = X.flip(0)


@cases("name", OPERATORS)
def test_what_is_seen_is_the_diffused_image_and_the_rest_stays(name):
    operator, level = OPERATORS[name], Level(0.0, 0.8, 0.6)
    found = Replacement(operator, operator.forward(IMAGE))(X, level, lambda: Z)
    a, p = matrices(operator, SHAPE)
    seen = p @ a
    expected = X.flatten(1) + (0.8 * IMAGE + 0.6 * Z - X).flatten(1) @ seen.mT
    torch.testing.assert_close(found.flatten(1), expected, rtol=0, atol=1e-12)


def test_known_values_come_back_bit_for_bit_at_the_clean_level_without_a_draw():
    def never() -> torch.Tensor:
        raise AssertionError

    found = Replacement(Mask(KNOWN), IMAGE.float())(X.float(), Level(0.0, 1.0, 0.0), never)
    assert torch.equal(found, torch.where(KNOWN, IMAGE.float(), X.float()))
