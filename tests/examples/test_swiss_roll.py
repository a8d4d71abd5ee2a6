import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

FILE = Path(__file__).parents[2] / "examples" / "swiss_roll.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("swiss_roll", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Unbiased energy distance ``2 E|a - b| - E|a - a'| - E|b - b'|`` (Székely & Rizzo 2013), 0 if both are one."""
    within = sum(float(torch.cdist(x, x).sum()) / (len(x) * (len(x) - 1)) for x in (a, b))
    return 2 * float(torch.cdist(a, b).mean()) - within


def test_samples_lie_like_the_data_and_those_of_an_untrained_network_do_not(example: ModuleType) -> None:
    torch.manual_seed(0)
    net = example.Perceptron()
    data = example.swiss_roll(2000, seed=1)
    untrained = distance(example.draw(net, 1000), data)
    example.train(net, steps=600)
    trained = distance(example.draw(net, 1000), data)
    # what a network that saw mean and covariance, but no spiral, would draw
    blob = data.mean(0) + torch.randn(1000, 2) @ torch.linalg.cholesky(data.T.cov()).T
    assert trained < 0.006
    assert distance(blob, data) > 0.012
    assert untrained > 0.03


def test_the_picture_shows_points_where_they_are(example: ModuleType) -> None:
    picture = example.scatter({"royalblue": torch.tensor([[1.2, -1.2]])}, side=100)
    assert picture.getpixel((75, 25)) == (65, 105, 225)
    assert picture.getpixel((25, 75)) == (255, 255, 255)
