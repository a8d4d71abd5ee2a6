"""Our cross-attention says what diffusers' says on the same weights."""

import torch
from diffusers.models.attention_processor import Attention

from ddpm.core import Cond
from ddpm.networks.cross_attention import Context, CrossAttention


@torch.no_grad()
def test_agreement() -> None:
    """With several heads and with one, for images and for tokens of any length, some of them padding."""
    for channels, heads, width, length in [(64, 4, 24, 7), (48, 1, 96, 16)]:
        torch.manual_seed(0)
        theirs = Attention(
            channels,
            cross_attention_dim=width,
            heads=heads,
            dim_head=channels // heads,
            norm_num_groups=16,
            eps=1e-6,
            residual_connection=True,
        ).eval()
        for p in theirs.parameters():
            p += 0.2 * torch.randn_like(p)
        weights = theirs.state_dict()
        ours = CrossAttention(channels, width, channels // heads, groups=16)
        ours.load_state_dict(
            {
                "norm.weight": weights["group_norm.weight"],
                "norm.bias": weights["group_norm.bias"],
                "q.weight": weights["to_q.weight"],
                "kv.weight": torch.cat([weights["to_k.weight"], weights["to_v.weight"]]),
                "out.weight": weights["to_out.0.weight"],
                "out.bias": weights["to_out.0.bias"],
            }
        )
        x, tokens = torch.randn(3, channels, 6, 5), torch.randn(3, length, width)
        for mask in (None, torch.arange(length) < torch.tensor([[length], [1], [3]])):
            bias = None if mask is None else torch.zeros(3, 1, length).masked_fill(~mask[:, None], -torch.inf)
            expected = theirs(x, encoder_hidden_states=tokens, attention_mask=bias)
            assert (expected - x).std() > 0.1
            context = Context.of(Cond(tokens=tokens, weights=mask), width)
            assert context is not None
            torch.testing.assert_close(ours(x, context), expected, rtol=1e-5, atol=1e-5)
