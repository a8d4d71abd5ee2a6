import torch
from torch import nn

from ddpm.conditioning import LabelEmbedding
from ddpm.core import Level, Parameterisation, prediction
from ddpm.core.model import Model


def test_labels_become_conditions():
    embedding = LabelEmbedding(3, 4)
    model = Model(nn.Identity(), embedding)
    cond = model.cond(torch.tensor([2, 0]))
    assert cond is not None
    assert torch.equal(cond.vector, embedding.table.weight[[2, 0]])
    assert model.cond(None) is None


def test_without_a_conditioner_labels_mean_nothing():
    assert Model(nn.Identity()).cond(torch.tensor([2, 0])) is None


def test_all_that_is_learned_is_in_it():
    model = Model(nn.Conv1d(1, 1, 1), LabelEmbedding(3, 4))
    assert set(model.state_dict()) == {"net.weight", "net.bias", "conditioner.table.weight"}


def test_as_a_denoiser():
    class Half(nn.Module):
        def forward(self, x, t, cond=None):
            return x / 2

    x = torch.randn(2, 1, 3)
    assert torch.equal(Model(Half()).denoiser(Parameterisation(prediction.x0))(x, Level(0.0, 0.8, 0.6)).x0, x / 2)
