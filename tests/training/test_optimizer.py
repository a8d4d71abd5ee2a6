from dataclasses import replace

import torch
from tests import tiny

from ddpm.build.networks import NETWORKS
from ddpm.conditioning.label import LabelEmbedding
from ddpm.config.network import UNetSettings
from ddpm.config.training import TrainSettings
from ddpm.core.model import Model
from ddpm.networks import UNet
from ddpm.training.optimizer import create_moments, make_optimizer, parted

NET = UNetSettings(width=8, multipliers=(1, 2), blocks=1, attention=(2,), cond_width=8)
SETTINGS = TrainSettings(images=64, batch=8, optimizer="muon")


def make_model() -> Model:
    return Model(UNet(NET), {"label": LabelEmbedding(3, 8)})


def test_hidden_matrices_are_those_of_layers() -> None:
    model = make_model()
    names = {p: name for name, p in model.named_parameters()}
    hidden, others = ({names[p] for p in part} for part in parted(model))
    assert hidden | others == set(names.values())
    assert not hidden & others
    assert {"net.middle.0.attention.qkv.weight", "net.down.0.blocks.0.conv1.weight"} <= hidden
    assert {"net.time.linear1.weight", "net.cond.weight", "conditioners.label.table.weight"} <= others
    assert all(name.endswith(".weight") for name in hidden)


def test_hidden_matrices_of_transformers() -> None:
    """Those of their layers; norms, embeddings, modulations and tokens are trained by AdamW."""
    parts = {
        "dit": {"attention.qkv.weight", "attention.out.weight", "mlp.gated.weight", "mlp.out.weight", "skip.weight"},
        "plain-dit": {
            *("modulation.weight", "attention.qkv.weight", "attention.out.weight", "linear1.weight", "linear2.weight")
        },
    }
    for kind, inner in parts.items():
        model = Model(NETWORKS[kind](tiny.NETWORKS[kind]), {"label": LabelEmbedding(3, 32)})
        names = {p: name for name, p in model.named_parameters()}
        hidden = {names[p].removeprefix("net.") for p in parted(model)[0]}
        ends = {"embed.weight", "out.weight"} | ({"conv.weight"} if kind == "dit" else set())
        assert {name for name in hidden if not name.startswith("blocks.")} == ends
        assert {name.split(".", 2)[2] for name in hidden if name.startswith("blocks.")} == inner


def test_the_state_before_the_first_step_is_zero() -> None:
    """As the first step itself creates it: training on from zeros equals training from no state."""
    for name in ("adamw", "muon"):
        after = []
        for zeros in (False, True):
            torch.manual_seed(0)
            model = make_model()
            optimizer = make_optimizer(model, replace(SETTINGS, optimizer=name), torch.device("cpu"))
            if zeros:
                create_moments(optimizer)
            for p in model.parameters():
                p.grad = torch.ones_like(p)
            optimizer.step()
            after.append([*model.parameters(), *(t for p in model.parameters() for t in optimizer.state[p].values())])
        assert all(torch.equal(a, b) for a, b in zip(*after, strict=True))
