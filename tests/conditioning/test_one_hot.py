import pytest
import torch

from ddpm.conditioning.one_hot import OneHot


def test_a_label_is_all_on_its_class():
    vector = OneHot(3)(torch.tensor([2, 0])).vector
    assert torch.equal(vector, torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))


def test_the_null_label_is_even():
    one_hot = OneHot(4)
    assert torch.equal(one_hot.null(2).vector, torch.full((2, 4), 0.25))
    dropped = one_hot.drop(torch.tensor([1, 3]), torch.tensor([True, False]))
    assert torch.equal(one_hot(dropped).vector, torch.tensor([[0.25] * 4, [0.0, 0.0, 0.0, 1.0]]))


def test_nothing_of_it_is_learned_or_kept():
    assert not list(OneHot(3).parameters())
    assert not OneHot(3).state_dict()


def test_one_class_is_none():
    with pytest.raises(ValueError, match="classes is 1; there must be at least 2"):
        OneHot(1)
