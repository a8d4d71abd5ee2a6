"""Our plain DiT says what diffusers' says on the same weights."""

import re

import torch
from diffusers import DiTTransformer2DModel

from ddpm.conditioning import LabelEmbedding
from ddpm.config.dit import PlainDiTSettings
from ddpm.core.model import Model
from ddpm.networks import PlainDiT

RENAMES = {
    r"^conditioners\.label\.table": "transformer_blocks.0.norm1.emb.class_embedder.embedding_table",
    r"^net\.time\.linear": "transformer_blocks.0.norm1.emb.timestep_embedder.linear_",
    r"^net\.embed": "pos_embed.proj",
    r"^net\.modulation": "proj_out_1",
    r"^net\.out": "proj_out_2",
    r"^net\.blocks": "transformer_blocks",
    r"modulation": "norm1.linear",
    r"attention\.out": "attn1.to_out.0",
    r"attention\.": "attn1.",
    r"linear1": "ff.net.0.proj",
    r"linear2": "ff.net.2",
}
"""Patterns in our names and what they are in theirs; the embedding layers are renamed first."""


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


def copy_weights(theirs: DiTTransformer2DModel, ours: Model) -> Model:
    """Our model with their weights.

    Queries, keys and values are three layers of theirs and one of ours. Their cosines of time come before the sines.
    Their first layer is a convolution, and their last orders the numbers of a patch by pixel before channel.
    """
    weights, net = theirs.state_dict(), ours.net
    assert isinstance(net, PlainDiT)
    for name in [name for name in weights if re.match(r"transformer_blocks\.[1-9]\d*\.norm1\.emb", name)]:
        del weights[name]

    def find(name: str) -> torch.Tensor:
        if ".qkv." in name:
            return torch.cat([find(name.replace("qkv", f"to_{part}")) for part in "qkv"])
        for pattern, replacement in RENAMES.items():
            found = re.sub(pattern, replacement, name)
            if found != name and not found.startswith(("net.", "conditioners.")):
                name = found
                if "emb." in name or "embedding" in name:
                    break
        found = weights.pop(name)
        if name.endswith("timestep_embedder.linear_1.weight"):
            return torch.cat(found.chunk(2, dim=1)[::-1], dim=1)
        if name.startswith("pos_embed.proj"):
            return found.flatten(1) if found.ndim > 1 else found
        if name.startswith("proj_out_2"):
            # (p · p · C, …) -> (C · p · p, …)
            return found.unflatten(0, (-1, net.settings.out_channels)).transpose(0, 1).flatten(0, 1)
        return found

    ours.load_state_dict({name: find(name) for name in ours.state_dict()})
    assert not weights, f"left over: {sorted(weights)}"
    return ours


@torch.no_grad()
def test_agreement():
    for channels, out, size, patch in [(4, 8, 8, 2), (3, 3, 16, 4), (1, 2, 6, 1)]:
        theirs = their_dit(
            num_attention_heads=3,
            attention_head_dim=16,
            in_channels=channels,
            out_channels=out,
            num_layers=3,
            sample_size=size,
            patch_size=patch,
            num_embeds_ada_norm=10,
            norm_eps=1e-6,
        )
        settings = PlainDiTSettings(
            in_channels=channels, out_channels=out, depth=3, width=48, heads=3, patch=patch, cond_width=48
        )
        ours = copy_weights(theirs, Model(PlainDiT(settings), {"label": LabelEmbedding(10, 48)})).eval()
        x, t = torch.randn(2, channels, size, size), torch.tensor([0.0, 999.0])
        labels = torch.tensor([3, 10])  # the last is the null label
        expected = theirs(x, t, class_labels=labels).sample
        assert expected.std() > 0.1
        torch.testing.assert_close(
            ours.net(x, t, ours.cond({"label": labels}, 2)), expected, rtol=1e-5, atol=1e-5 * expected.std().item()
        )
