"""Every name that a user may type: the single source of types, registries, validation and help.

This module imports nothing heavy, so that ``ddpm --help`` need not load torch. A name belongs to one object in
``build`` (features, solvers …) or in ``planning.recipes``.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Literal

Mode = Literal["L", "RGB", "RGBA"]
"""Greyscale, colour, colour with transparency."""
Fit = Literal["crop", "pad", "stretch"]
"""How an image of another aspect ratio is fitted to a size."""
PrecisionName = Literal["bf16", "fp16", "fp32"]
OptimizerName = Literal["adamw", "muon"]
NormName = Literal["group", "layer"]
UpsampleName = Literal["conv", "linear"]
SkipsName = Literal["all", "blocks"]
InterpolationName = Literal["bicubic", "bilinear"]
AttentionName = Literal["none", "self", "transformer"]
DownsamplingName = Literal["conv", "residual", "average"]
UpsamplingName = Literal["conv", "residual", "nearest"]
PoolName = Literal["attention", "average"]
AttentionFormName = Literal["full", "linear"]
TransformerSizeName = Literal["XXS", "XS", "S", "B", "L", "XL"]

ScheduleName = Literal["linear", "scaled-linear", "cosine", "sigmoid", "vp", "sub-vp", "ve", "edm", "flow"]
PredictionName = Literal["eps", "x0", "v", "flow", "edm"]
VarianceName = Literal["small", "large", "learned"]
PlainLossName = Literal["simple", "vlb"]
HybridLossName = Literal["hybrid"]
PlainWeightingName = Literal["simple", "constant", "snr", "truncated-snr", "edm"]
GammaWeightingName = Literal["min-snr", "p2"]
WeightingName = Literal[PlainWeightingName, GammaWeightingName]
PlainLevelsName = Literal["uniform", "stratified", "importance"]
NormalLevelsName = Literal["log-normal", "logit-normal"]
LevelSamplingName = Literal[PlainLevelsName, NormalLevelsName]

DistillationName = Literal["trajectory", "progressive", "consistency"]

AncestralSolverName = Literal["ancestral", "ancestral-small", "ancestral-large"]
NoisySolverName = Literal["sde-dpm++-2m", "sde-dpm++-3m", AncestralSolverName, "langevin", "consistency"]
EtaSolverName = Literal["ddim", "euler-ancestral"]
ChurnSolverName = Literal["edm"]
AdaptiveSolverName = Literal["adaptive"]
DPMSolverName = Literal["dpm-solver-1", "dpm-solver-2", "dpm-solver-3"]
DPMPlusPlusName = Literal["dpm++-1s", "dpm++-2s", "dpm++-2m", "dpm++-3m", "dpm++-3m-exact"]
UniPCName = Literal["unipc-1", "unipc-2", "unipc-3", "unipc-1-bh1", "unipc-2-bh1", "unipc-3-bh1"]
DEISName = Literal["deis-1", "deis-2", "deis-3"]
IPNDMName = Literal["ipndm-1", "ipndm-2", "ipndm-3", "ipndm-4"]
PlainSolverName = Literal["euler", "heun", DPMSolverName, DPMPlusPlusName, UniPCName, DEISName, IPNDMName]
SolverName = Literal[EtaSolverName, PlainSolverName, ChurnSolverName, AdaptiveSolverName, NoisySolverName]
ClassifierFormName = Literal["score", "mean"]
TickGridName = Literal["uniform", "linspace", "leading", "trailing", "quadratic", "power"]
"""Grids on whole timesteps, which have at most as many steps as the schedule has ticks."""
GridName = Literal[TickGridName, "log-snr", "exponential", "karras", "beta"]

RecipeName = Literal["auto", "ho2020", "nichol2021", "super-resolution"]
AutoencoderName = Literal["autoencoder"]
"""The recipe of a run that is no diffusion model."""
MethodName = Literal["bound", "ode"]
"""How bits per dimension are computed."""
FeaturesName = Literal["embedded", "16x16-pixel", "inception", "dinov2", "clip"]
ExportName = Literal["diffusers", "onnx", "safetensors"]
"""What a run is exported to."""

HUB = "hf://"
"""The beginning of the address of a run on huggingface.co."""
MINILM = "minilm"
"""The text encoder that a Python package provides, all-MiniLM-L6-v2."""


LONGEST = 40
"""The most characters of a name in a list."""


def suggest(word: str, known: list[str]) -> str:
    """ " (did you mean …?)", or else the known names."""
    return nearest(word, known) or f" (known: {listed(known)})"


def listed(names: Sequence[str], most: int = 40) -> str:
    """Names separated by commas, each shortened; of more than these, the first ones and how many there are."""
    more = f" … ({len(names):,} in all)" if len(names) > most else ""
    return ", ".join(map(shortened, names[:most])) + more


def shortened(name: str) -> str:
    """A name as lists show it, of at most ``LONGEST`` characters."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def nearest(word: str, known: list[str], cutoff: float = 0.5) -> str:
    """ " (did you mean …?)" if a known name is close, else an empty string; ``cutoff`` 1 is for equal ones."""
    near = get_close_matches(word, known, n=1, cutoff=cutoff)
    return f" (did you mean {near[0]!r}?)" if near else ""
