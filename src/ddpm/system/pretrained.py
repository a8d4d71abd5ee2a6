"""Pretrained networks of the package transformers: weights from safetensors only, and no code but the package's."""

from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR
from typing import Any

import torch

from ddpm.system.errors import InputError


def import_transformers(user: str, extra: str) -> Any:
    """The package transformers, which is imported when first needed.

    Args:
        user: what needs it, for the message.
        extra: the extra of ddpm that installs it.

    Raises:
        InputError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            "missing", f'{user} need transformers, which is not installed; run `pip install "ddpm[{extra}]"`'
        ) from error
    return transformers


@contextmanager
def loading(source: str, advice: str) -> Iterator[None]:
    """Turn errors of transformers into one line, and silence its progress bars and warnings, as about unused weights.

    Raises:
        InputError: anything goes wrong, whatever the type of the error: a damaged file leads to many.
    """
    from transformers.utils import logging as untyped

    logging: Any = untyped
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(ERROR)
    logging.disable_progress_bar()
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError("unreadable", f"{source} cannot be loaded ({reason}); {advice}") from error
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def read_network(kind: Any, source: str, unused: tuple[str, ...] = (), **options: Any) -> Any:
    """A network of this class in float32, for inference. Weights are read from safetensors only.

    Args:
        kind: a class of transformers.
        source: a folder, or a name on huggingface.co.
        unused: the prefixes of weights that may be missing.
        options: passed to ``from_pretrained``.

    Raises:
        InputError: the checkpoint lacks some of the weights.
    """
    with torch.random.fork_rng(devices=[]):  # initialising weights would advance torch's generator
        net, report = kind.from_pretrained(
            source, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **options
        )
    missing = [name for name in report["missing_keys"] if not name.startswith(unused)]
    if missing:
        raise InputError(
            "incompatible",
            f"{source} lacks {len(missing)} of the weights of {kind.__name__}; use a complete checkpoint",
        )
    return net.eval().requires_grad_(False)
