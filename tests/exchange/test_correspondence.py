import torch

from ddpm.exchange.correspondence import (
    Correspondence,
    channels_last,
    cosines_first,
    read,
    reordered,
    reshaped,
    stacked,
    write,
)
from ddpm.exchange.tensors import ForeignTensors

PAIRS = [
    Correspondence("norm.weight", ("group_norm.weight",)),
    stacked("qkv.weight", "to_q.weight", "to_k.weight", "to_v.weight"),
    reshaped("out.weight", "proj_out.weight", (4, 4), (4, 4, 1, 1)),
    reordered("time.weight", "emb.weight", torch.tensor([2, 3, 0, 1]), 1),
]


def test_a_table_works_in_both_directions_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = {"norm.weight": (4,), "qkv.weight": (12, 4), "out.weight": (4, 4), "time.weight": (3, 4)}
    ours = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    theirs = write(PAIRS, ours)
    assert {name: tuple(tensor.shape) for name, tensor in theirs.items()} == {
        "group_norm.weight": (4,),
        **{f"to_{part}.weight": (4, 4) for part in "qkv"},
        "proj_out.weight": (4, 4, 1, 1),
        "emb.weight": (3, 4),
    }
    tensors = ForeignTensors(theirs, "x")
    again = read(PAIRS, tensors)
    tensors.finish()
    assert again.keys() == ours.keys()
    assert all(torch.equal(again[name], ours[name]) for name in ours)


def test_the_order_is_that_of_the_source() -> None:
    found = read(PAIRS[3:], ForeignTensors({"emb.weight": torch.arange(4.0)[None]}, "x"))
    assert found["time.weight"].tolist() == [[2, 3, 0, 1]]


def test_the_orders_of_the_first_and_the_last_layer() -> None:
    found = read([cosines_first("time", "emb", 4)], ForeignTensors({"emb": torch.arange(4.0)[None]}, "x"))
    assert found["time"].tolist() == [[2, 3, 0, 1]]
    theirs = {"last.weight": torch.arange(6.0)[:, None], "last.bias": torch.arange(6.0)}
    found = read(channels_last("out", "last", area=3, channels=2), ForeignTensors(theirs, "x"))
    assert found["out.bias"].tolist() == found["out.weight"][:, 0].tolist() == [0, 2, 4, 1, 3, 5]
