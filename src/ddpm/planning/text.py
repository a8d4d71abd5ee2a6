"""The captions of a new run, and an encoder fitted to them."""

from collections.abc import Sequence

from ddpm.config.text import PretrainedConfig, TextConfig, WordsConfig
from ddpm.planning.request import Request
from ddpm.system.errors import InputError
from ddpm.system.names import MINILM
from ddpm.system.progress import Say
from ddpm.system.units import say_count
from ddpm.text.folder import open_encoder
from ddpm.text.pretrained import fitting_length
from ddpm.text.words import WordEncoder

WORDS = "words"
"""The encoder that is trained with the model."""
WITHOUT = ("plain-dit", "lucidrains-unet")
"""Kinds of networks that take no captions."""


def text_of(request: Request, captions: Sequence[str] | None, network: str, say: Say) -> TextConfig | None:
    """The encoder of the captions of the training images; None without captions.

    Raises:
        InputError: captions were asked for, but there are none; or their encoder cannot be used.
    """
    if not request.captions:
        return None
    if not any(captions or ()):
        if request.text is None:
            return None
        raise InputError(
            "conflict",
            f"--text {request.text} requires captions, and the images of {request.data} have none; add some, or drop "
            "--text",
        )
    assert captions is not None
    if network in WITHOUT and request.text is None:
        say(f"note: network {network} takes no captions, so they are left out; use --network unet or dit for them")
        return None
    if request.text in (None, WORDS):
        made = WordEncoder.of(captions)
        _say_cut(made.cut(captions), made.length, say)
        return WordsConfig(vocabulary=made.vocabulary, characters=made.characters, length=made.length)
    assert request.text is not None
    folder = open_encoder(request.text)
    length, cut = fitting_length(folder, captions)
    _say_cut(cut, length, say)
    # absolute, because sampling may start in another folder
    source = request.text if request.text == MINILM else str(folder.path.resolve())
    return PretrainedConfig(source=source, weights=folder.hash, width=folder.width, length=length)


def _say_cut(cut: int, length: int, say: Say) -> None:
    if cut:
        say(f"note: {say_count(cut, 'caption')} cut to the {length} tokens that are read")
