"""Our plain DiT says what diffusers' says on the same weights, which convert in both directions."""

import torch
from diffusers import DiTTransformer2DModel

from cases import cases
from ddpm.conditioning import LabelEmbedding
from ddpm.core.model import Model
from ddpm.exchange.diffusers import dit
from ddpm.exchange.tensors import ForeignTensors
from ddpm.networks import PlainDiT
from refusal import refuses


def their_dit(**settings) -> DiTTransformer2DModel:
    """Their network, random also where theirs begin at zero, with the same embeddings in each block, as published."""
    torch.manual_seed(0)
    net = DiTTransformer2DModel(**settings).eval()
    with torch.no_grad():
        for p in net.parameters():
            p += 0.05 * torch.randn_like(p)
    for block in net.transformer_blocks:
        block.norm1.emb.load_state_dict(net.transformer_blocks[0].norm1.emb.state_dict())
    return net


SHAPE = {"num_attention_heads": 3, "attention_head_dim": 16, "num_layers": 3, "num_embeds_ada_norm": 10}


@torch.no_grad()
@cases(("channels", "out", "size", "patch", "eps"), [(4, 8, 8, 2, 1e-6), (3, 3, 16, 4, 1e-5), (1, 2, 6, 1, 0.1)])
def test_agreement(channels, out, size, patch, eps):
    theirs = their_dit(
        **SHAPE, in_channels=channels, out_channels=out, sample_size=size, patch_size=patch, norm_eps=eps
    )
    found = dit.read_settings(theirs.config, "DiT")
    assert (found.classes, found.side) == (10, size)
    weights = dit.read_weights(found, ForeignTensors(theirs.state_dict(), "DiT"))
    ours = Model(PlainDiT(found.settings), {"label": LabelEmbedding(10, 48)}).eval()
    ours.load_state_dict(weights)
    x, t = torch.randn(2, channels, size, size), torch.tensor([0.0, 999.0])
    labels = torch.tensor([3, 10])  # the last is the null label
    expected = theirs(x, t, class_labels=labels).sample
    assert expected.std() > 0.1
    torch.testing.assert_close(
        ours.net(x, t, ours.cond({"label": labels}, 2)), expected, rtol=1e-5, atol=1e-5 * expected.std().item()
    )
    back, own = dit.write_weights(found.settings, weights), theirs.state_dict()
    assert back.keys() == own.keys()
    assert all(torch.equal(back[name], own[name]) for name in own)
    again = DiTTransformer2DModel.from_config(dit.write_settings(found))
    assert all(value == theirs.config[name] for name, value in again.config.items() if name[0] != "_")


def test_refusals():
    theirs = their_dit(**SHAPE, in_channels=1, sample_size=4, patch_size=2)
    weights, found = theirs.state_dict(), dit.read_settings(theirs.config, "DiT")
    name = "transformer_blocks.2.norm1.emb.class_embedder.embedding_table.weight"
    with refuses("incompatible", name):
        dit.read_weights(found, ForeignTensors(weights | {name: weights[name] + 1}, "DiT"))
    with refuses("incompatible", "extra"):
        dit.read_weights(found, ForeignTensors(weights | {"extra": torch.zeros(1)}, "DiT"))
    for name, value in {"activation_fn": "geglu", "norm_type": "layer_norm", "dropout": 0.5}.items():
        with refuses("incompatible", str(value)):
            dit.read_settings({**theirs.config, name: value}, "DiT")
    with refuses("incompatible", "width is 51"):
        dit.read_settings({**theirs.config, "attention_head_dim": 17}, "DiT")
    with refuses("incompatible", "not a number"):
        dit.read_settings({**theirs.config, "sample_size": [8, 8]}, "DiT")
    wider = dit.read_settings({**theirs.config, "patch_size": theirs.config.patch_size * 2}, "DiT")
    with refuses("incompatible", "pos_embed.proj.weight"):
        dit.read_weights(wider, ForeignTensors(weights, "DiT"))
