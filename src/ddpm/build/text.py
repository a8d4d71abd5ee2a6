"""Build encoders of captions and prompts by kind."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ddpm.conditioning import FrozenTokens, TextFeatures, WordTokens
from ddpm.config.run import RunConfig
from ddpm.config.text import CLIPTokensConfig, PretrainedConfig, WordsConfig
from ddpm.system.progress import Progress, silent
from ddpm.text.cached import cached_features
from ddpm.text.encoder import CaptionEncoder, PromptEncoder
from ddpm.text.pretrained import load_encoder
from ddpm.text.words import WordEncoder

HEAD = 64
"""The most channels of a head of the transformer of words."""


def _words(
    config: WordsConfig, captions: Iterable[str], device: torch.device, progress: Progress, folder: Path | None
) -> WordEncoder:
    return WordEncoder(config.vocabulary, config.characters, config.length)


def _pretrained(
    config: PretrainedConfig, captions: Iterable[str], device: torch.device, progress: Progress, folder: Path | None
) -> PromptEncoder:
    moved = folder is not None and folder.is_dir()
    load = partial(load_encoder, str(folder) if moved else config.source, device, config.length, config.weights)
    return cached_features(captions, config.weights, config.width, config.length, load, progress)


def _clip_tokens(
    config: CLIPTokensConfig, captions: Iterable[str], device: torch.device, progress: Progress, folder: Path | None
) -> PromptEncoder:
    assert folder is not None, "the encoder is in the run folder"
    load = partial(load_encoder, str(folder), device, config.length, config.weights, padded=True)
    return cached_features(captions, f"{config.weights}-padded", config.width, config.length, load, progress)


def _word_tokens(config: WordsConfig, width: int) -> WordTokens:
    size = WordEncoder(config.vocabulary, config.characters, config.length).size
    heads = next(n for n in range(-(-width // HEAD), width + 1) if width % n == 0 and width // n % 2 == 0)
    return WordTokens(size, config.length, width, config.layers, heads)


def _text_features(config: PretrainedConfig, width: int) -> TextFeatures:
    return TextFeatures(config.width, width, config.length)


def _frozen_tokens(config: CLIPTokensConfig, width: int) -> FrozenTokens:
    return FrozenTokens(config.width, config.length)


TEXTS: dict[str, tuple[Callable[..., PromptEncoder], Callable[[Any, int], torch.nn.Module]]] = {
    "words": (_words, _word_tokens),
    "pretrained": (_pretrained, _text_features),
    "clip-tokens": (_clip_tokens, _frozen_tokens),
}
"""By kind: the encoder of prompts, and the conditioner of what it returns."""


def build_text(
    config: RunConfig,
    device: torch.device,
    captions: Iterable[str] = (),
    progress: Progress = silent,
    folder: Path | None = None,
) -> PromptEncoder | None:
    """The encoder of prompts of a run; None for a run without text.

    Args:
        captions: Those of a data set, which a frozen encoder encodes once and caches.
        progress: Called with (captions done, in total).
        folder: Where the run folder may hold the frozen encoder, which takes precedence over its source.

    Raises:
        InputError: if a frozen encoder is needed for captions, but missing, damaged or another one.
    """
    if config.text is None:
        return None
    return TEXTS[config.text.kind][0](config.text, captions, device, progress, folder)


def build_captions(
    config: RunConfig,
    device: torch.device,
    captions: Iterable[str],
    progress: Progress = silent,
    folder: Path | None = None,
) -> CaptionEncoder | None:
    """The encoder of the captions of a data set, which are read as they are; None for a run without text.

    Raises:
        InputError: as :func:`build_text`.
    """
    encoder = build_text(config, device, captions, progress, folder)
    return None if encoder is None else CaptionEncoder(encoder)


def build_caption_conditioner(config: RunConfig, width: int) -> torch.nn.Module:
    """The conditioner of captions, for vectors and tokens of this width."""
    assert config.text is not None
    return TEXTS[config.text.kind][1](config.text, width)
