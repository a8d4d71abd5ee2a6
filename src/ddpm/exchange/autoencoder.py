"""The weights of autoencoders in the layouts of other programs."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from ddpm.config.autoencoder import AutoencoderSettings
from ddpm.exchange.correspondence import Correspondence, layer, reshaped, stacked


@dataclass(frozen=True)
class Layout:
    """The names of the tensors of an autoencoder in a program.

    In a name, ``half`` is "encoder" or "decoder", ``level`` counts the levels in the order of the computation and
    ``scale`` from the finest one; ``before`` and ``above`` are the same two for the previous level.

    Attributes:
        down, up: a residual block, number ``i`` of its level, of the encoder and of the decoder.
        downsample, upsample: the convolution between two levels.
        middle: the two blocks at the coarsest level.
        attention: the attention between these two.
        shortcut: the linear layer of a block that changes the number of channels.
        projections: the layers of attention: its normalisation, queries, keys, values and output.
        norm_out: the last normalisation.
        kernels: whether the projections are convolutions.
    """

    down: str
    up: str
    downsample: str
    upsample: str
    middle: tuple[str, str]
    attention: str
    shortcut: str
    projections: tuple[str, str, str, str, str]
    norm_out: str
    kernels: bool = False


DIFFUSERS = Layout(
    down="encoder.down_blocks.{level}.resnets.{i}",
    up="decoder.up_blocks.{level}.resnets.{i}",
    downsample="encoder.down_blocks.{before}.downsamplers.0.conv",
    upsample="decoder.up_blocks.{before}.upsamplers.0.conv",
    middle=("{half}.mid_block.resnets.0", "{half}.mid_block.resnets.1"),
    attention="{half}.mid_block.attentions.0",
    shortcut="conv_shortcut",
    projections=("group_norm", "to_q", "to_k", "to_v", "to_out.0"),
    norm_out="{half}.conv_norm_out",
)


@dataclass(frozen=True)
class AutoencoderTable:
    """The correspondence of all weights of an autoencoder.

    Attributes:
        settings: of the network.
        layout: of the other program.
        mapped: whether it has the linear layers of the latents, which are the identity otherwise.
    """

    settings: AutoencoderSettings
    layout: Layout
    mapped: tuple[str, ...] = field(default=("quant", "post_quant"))

    def __iter__(self) -> Iterator[Correspondence]:
        s, names = self.settings, self.layout
        for name in self.mapped:
            yield from layer(name, f"{name}_conv")
        if s.codebook:
            yield Correspondence("codebook.weight", ("quantize.embedding.weight",))
        for half, more, block, between in (
            ("encoder", 0, names.down, names.downsample),
            ("decoder", 1, names.up, names.upsample),
        ):
            channels = s.widths if half == "encoder" else s.widths[::-1]
            yield from layer(f"{half}.conv_in", f"{half}.conv_in")
            yield from layer(f"{half}.norm_out", names.norm_out.format(half=half))
            yield from layer(f"{half}.conv_out", f"{half}.conv_out")
            yield from self._middle(half)
            for level, out in enumerate(channels):
                scale = level if half == "encoder" else len(channels) - 1 - level
                place = {"level": level, "scale": scale, "before": level - 1, "above": scale + 1}
                for i in range(s.blocks + more):
                    # our resampling starts a level, theirs ends the one before
                    changes = i == 0 and level > 0 and channels[level - 1] != out
                    ours = f"{half}.levels.{level}.{i + (level > 0)}"
                    yield from self._block(ours, block.format(i=i, **place), changes)
                if level:
                    yield from layer(f"{half}.levels.{level}.0.conv", between.format(**place))

    def _block(self, ours: str, theirs: str, changes: bool) -> Iterator[Correspondence]:
        for part in ("norm1", "conv1", "norm2", "conv2"):
            yield from layer(f"{ours}.{part}", f"{theirs}.{part}")
        if changes:
            yield from layer(f"{ours}.shortcut", f"{theirs}.{self.layout.shortcut}")

    def _middle(self, half: str) -> Iterator[Correspondence]:
        first, last = (name.format(half=half) for name in self.layout.middle)
        yield from self._block(f"{half}.middle.0", first, changes=False)
        if self.settings.attention:
            yield from self._attention(f"{half}.middle.1", self.layout.attention.format(half=half))
        yield from self._block(f"{half}.middle.{2 if self.settings.attention else 1}", last, changes=False)

    def _attention(self, ours: str, theirs: str) -> Iterator[Correspondence]:
        norm, *three, out = (f"{theirs}.{name}" for name in self.layout.projections)
        n = self.settings.widths[-1]
        yield from layer(f"{ours}.norm", norm)
        yield stacked(f"{ours}.qkv.bias", *(f"{name}.bias" for name in three))
        yield Correspondence(f"{ours}.out.bias", (f"{out}.bias",))
        if not self.layout.kernels:
            yield stacked(f"{ours}.qkv.weight", *(f"{name}.weight" for name in three))
            yield Correspondence(f"{ours}.out.weight", (f"{out}.weight",))
            return
        yield reshaped(f"{ours}.out.weight", f"{out}.weight", (n, n), (n, n, 1, 1))
        yield Correspondence(
            f"{ours}.qkv.weight",
            tuple(f"{name}.weight" for name in three),
            lambda parts: torch.cat(parts)[:, :, 0, 0],
            lambda tensor: [part[:, :, None, None] for part in tensor.chunk(3)],
        )
