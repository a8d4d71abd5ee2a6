import torch

from ddpm.exchange.tensors import ForeignTensors
from refusal import refuses


def some() -> ForeignTensors:
    return ForeignTensors(
        {"a.weight": torch.ones(2, 3).half(), "a.steps": torch.tensor(7), "b": torch.zeros(1)}, "x.pt"
    )


def test_each_tensor_is_taken_once() -> None:
    tensors = some()
    part = tensors.under("a.")
    assert part.names() == ["steps", "weight"]
    assert part.shape("weight") == (2, 3)
    assert part.take("weight", (2, 3)).dtype == torch.float32
    assert part.take("steps").dtype == torch.int64
    assert "a.weight" not in tensors
    with refuses("incompatible", "x.pt", "a.weight"):
        part.take("weight")
    with refuses("incompatible", "b"):
        tensors.finish()
    tensors.take("b")
    tensors.finish()


def test_another_shape_is_refused_and_nothing_taken() -> None:
    tensors = some()
    with refuses("incompatible", "a.weight", "(2, 3)", "(3, 2)"):
        tensors.take("a.weight", (3, 2))
    assert "a.weight" in tensors
