"""The U-Net of lucidrains' denoising-diffusion-pytorch and our ``lucidrains-unet``."""

from collections.abc import Iterator

from ddpm.config.lucidrains_unet import LucidrainsUNetSettings
from ddpm.exchange.correspondence import Correspondence, layer
from ddpm.exchange.fitted import inferring
from ddpm.exchange.tensors import ForeignTensors
from ddpm.system.errors import InputError
from ddpm.system.names import AttentionFormName

STEM = "init_conv.weight"
"""A tensor that this network has, and no other."""
CHANNELS = (1, 3, 4)
UNSUPPORTED = {
    "time_mlp.0.weights": "the frequencies of learned_sinusoidal_cond, for continuous time",
    "classes_emb": "the classes of classifier_free_guidance.py",
    "null_classes_emb": "the classes of classifier_free_guidance.py",
}
"""Tensors of variants of the network, and what they are."""


def read_settings(net: ForeignTensors) -> LucidrainsUNetSettings:
    """The network that has these tensors.

    Raises:
        InputError: it is a variant of this program's U-Net, or none.
    """
    names = net.names()
    for part, what in UNSUPPORTED.items():
        if any(name.startswith(part) for name in names):
            raise InputError(
                "incompatible", f"{net.source} has {part}, {what}, which is not supported; use another model"
            )
    if "mid_attn.mem_kv" not in names:
        raise InputError(
            "incompatible",
            f"{net.source} has no mid_attn.mem_kv, as before version 1.9 of denoising-diffusion-pytorch, whose network "
            "was another; use a model of version 2",
        )
    with inferring(net.source, LucidrainsUNetSettings):
        return _settings(net, names)


def _settings(net: ForeignTensors, names: list[str]) -> LucidrainsUNetSettings:
    width = net.shape("time_mlp.1.weight")[1]
    stem, seen, *_ = net.shape(STEM)
    out = net.shape("final_conv.weight")[0]
    if seen not in CHANNELS or out not in (seen, 2 * seen):
        raise InputError(
            "incompatible",
            f"{net.source} has a network of {seen} channels in and {out} out, as with self_condition, which is not "
            "supported; use a model without it, of images of 1, 3 or 4 channels",
        )
    levels = range(len({name.split(".")[1] for name in names if name.startswith("downs.")}))
    ends = [net.shape(f"downs.{i}.3" + ".1" * (i < levels[-1]) + ".weight")[0] for i in levels]
    forms = tuple[AttentionFormName, ...](
        "linear" if f"downs.{i}.2.to_out.0.weight" in names else "full" for i in levels
    )
    memories = [net.shape(f"downs.{i}.2.mem_kv") for i in levels]
    return LucidrainsUNetSettings(
        in_channels=seen,
        out_channels=out,
        width=width,
        stem=None if stem == width else stem,
        multipliers=tuple(end // width for end in ends),
        attention=forms,
        heads=tuple(memory[1] for memory in memories),
        # (2, heads, D, M) in linear attention, (2, heads, M, D) in full
        head_width=tuple(m[2] if form == "linear" else m[3] for m, form in zip(memories, forms, strict=True)),
        memory=net.shape("mid_attn.mem_kv")[2],
    )


def table(s: LucidrainsUNetSettings) -> Iterator[Correspondence]:
    """The correspondence of all weights. Theirs has convolutions of kernel 1 where ours has linear layers."""
    last = len(s.multipliers) - 1
    yield from layer("net.time.linear1", "time_mlp.1")
    yield from layer("net.time.linear2", "time_mlp.3")
    yield from layer("net.conv_in", "init_conv")
    for i, form in enumerate(s.attention):
        # the level's coarsest or finest neighbour may be missing, and then the step to it is a mere convolution
        for ours, theirs, resampled, shortcut in (
            (f"net.down.{i}", f"downs.{i}", i < last, False),
            (f"net.up.{last - i}", f"ups.{last - i}", i > 0, True),
        ):
            for j in range(2):
                yield from _block(f"{ours}.blocks.{j}", f"{theirs}.{j}", shortcut=shortcut)
            yield from _attention(f"{ours}.attention", f"{theirs}.2", form)
            yield from layer(f"{ours}.resample" + ".conv" * resampled, f"{theirs}.3" + ".1" * resampled)
    yield from _block("net.middle.0", "mid_block1")
    yield from _attention("net.attention", "mid_attn", "full")
    yield from _block("net.middle.1", "mid_block2")
    yield from _block("net.last", "final_res_block", shortcut=True)
    yield from layer("net.conv_out", "final_conv")


def _block(ours: str, theirs: str, *, shortcut: bool = False) -> Iterator[Correspondence]:
    yield from layer(f"{ours}.time", f"{theirs}.mlp.1")
    for j in (1, 2):
        yield from layer(f"{ours}.conv{j}", f"{theirs}.block{j}.proj")
        yield _gain(f"{ours}.norm{j}", f"{theirs}.block{j}.norm")
    if shortcut:
        yield from layer(f"{ours}.shortcut", f"{theirs}.res_conv")


def _attention(ours: str, theirs: str, form: AttentionFormName) -> Iterator[Correspondence]:
    yield _gain(f"{ours}.norm", f"{theirs}.norm")
    yield _kernel(f"{ours}.qkv.weight", f"{theirs}.to_qkv.weight")
    out = f"{theirs}.to_out"
    if form == "linear":
        # (2, heads, D, M) -> (2, heads, M, D)
        yield Correspondence(f"{ours}.memory", (f"{theirs}.mem_kv",), lambda p: p[0].mT, lambda w: [w.mT])
        out = f"{theirs}.to_out.0"
        yield _gain(f"{ours}.norm_out", f"{theirs}.to_out.1")
    else:
        yield Correspondence(f"{ours}.memory", (f"{theirs}.mem_kv",))
    yield _kernel(f"{ours}.out.weight", f"{out}.weight")
    yield Correspondence(f"{ours}.out.bias", (f"{out}.bias",))


def _kernel(ours: str, theirs: str) -> Correspondence:
    """(C', C, 1, 1) -> (C', C)."""
    return Correspondence(ours, (theirs,), lambda p: p[0].squeeze((2, 3)), lambda w: [w[..., None, None]])


def _gain(ours: str, theirs: str) -> Correspondence:
    """(1, C, 1, 1) -> (C,)."""
    return Correspondence(
        f"{ours}.weight", (f"{theirs}.g",), lambda p: p[0].squeeze((0, 2, 3)), lambda w: [w[None, :, None, None]]
    )
