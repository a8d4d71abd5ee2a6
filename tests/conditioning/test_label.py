import pytest
import torch

from ddpm.conditioning import LabelEmbedding
from ddpm.config.network import UNetSettings
from ddpm.networks import UNet


def test_encode_and_null():
    embedding = LabelEmbedding(classes=3, width=5)
    labels = torch.tensor([2, 0, 3])
    assert torch.equal(embedding(labels).vector, embedding.table.weight[labels])
    assert torch.equal(embedding.encode(labels).vector, embedding(labels).vector)
    assert torch.equal(embedding.null(2).vector, embedding.table.weight[[3, 3]])
    # another model can encode the same anew
    assert embedding(labels).raw["label"] is labels
    assert embedding.null(2).raw["label"].tolist() == [3, 3]


def test_drop_replaces_exactly_the_masked():
    embedding = LabelEmbedding(classes=3, width=5)
    labels = torch.tensor([0, 1, 2, 1])
    dropped = embedding.drop(labels, torch.tensor([True, False, False, True]))
    assert dropped.tolist() == [3, 1, 2, 3]
    assert dropped.dtype == labels.dtype
    assert labels.tolist() == [0, 1, 2, 1]


def test_labels_are_learnt():
    """Some steps towards constants that only the label tells: labels come to differ from each other and from none."""
    torch.manual_seed(0)
    embedding = LabelEmbedding(classes=2, width=4)
    net = UNet(
        UNetSettings(in_channels=1, out_channels=1, width=8, multipliers=(1,), blocks=1, attention=(), cond_width=4)
    )
    optimiser = torch.optim.Adam([*net.parameters(), *embedding.parameters()], 1e-2)
    x, t, labels = torch.randn(1, 1, 4, 4).expand(2, -1, -1, -1), torch.zeros(2), torch.tensor([0, 1])
    target = torch.tensor([0.5, 1.0]).reshape(2, 1, 1, 1)
    for _ in range(8):
        loss = (net(x, t, embedding(labels)) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert embedding.table.weight.grad[:2].any(dim=1).all()
    assert not embedding.table.weight.grad[2].any()
    none, (first, second) = net(x, t, embedding.null(2))[0], net(x, t, embedding(labels))
    for a, b in (none, first), (none, second), (first, second):
        assert (a - b).abs().max() > 1e-2


def test_no_classes():
    with pytest.raises(ValueError, match="classes is 0"):
        LabelEmbedding(0, 4)
