import pytest
import torch

from ddpm.system.device import best_device, device_of
from refusal import refuses


def test_by_name_or_the_best_there_is() -> None:
    assert device_of("cpu") == torch.device("cpu")
    assert device_of(None) == best_device()


@pytest.mark.parametrize("name", ["toaster", "cuda:99"])
def test_one_that_is_not_here(name: str) -> None:
    with refuses("device", name):
        device_of(name)
