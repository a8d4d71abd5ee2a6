"""The weights of a model in the layout of another program, checked against its settings."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from pydantic import ValidationError

from ddpm import build
from ddpm.config.run import RunConfig
from ddpm.exchange.correspondence import Correspondence
from ddpm.exchange.tensors import ForeignTensors
from ddpm.records.run_folder import Weights
from ddpm.system.errors import InputError
from ddpm.system.record import explain


@contextmanager
def inferring(source: str, kind: type) -> Iterator[None]:
    """Turn the errors of settings that are inferred from shapes into one line.

    Args:
        kind: the class of the settings.

    Raises:
        InputError: the shapes have other axes than any such network, or its settings are not allowed.
    """
    try:
        yield
    except InputError:
        raise
    except (ValidationError, ValueError, IndexError, ArithmeticError) as error:
        why = explain(error, kind) if isinstance(error, ValidationError) else "its tensors have other axes"
        raise InputError("incompatible", f"{source} is of no network that can be read ({why}); use another") from error


def read_fitting(config: RunConfig, pairs: Iterable[Correspondence], tensors: ForeignTensors) -> Weights:
    """The weights of a run, all of theirs used exactly once.

    Raises:
        InputError: a tensor is missing, left over, or has another shape than the settings of the run require.
    """
    weights: Weights = {}
    shapes = shapes_of(config)
    for pair in pairs:
        parts = [tensors.take(name) for name in pair.theirs]
        try:
            made = pair.join(parts)
            found = tuple(made.shape)
        except (RuntimeError, IndexError, ValueError):  # of a join that cannot have such parts
            found = tuple(parts[0].shape)
        if found != (expected := shapes[pair.ours]):
            raise InputError(
                "incompatible",
                f"{tensors.source} does not fit its settings: {', '.join(pair.theirs)} has shape {found}, not "
                f"{expected}; use the flags that it was trained with",
            )
        weights[pair.ours] = made.contiguous()
    tensors.finish()
    assert weights.keys() == shapes.keys(), sorted(weights.keys() ^ shapes.keys())
    return weights


def shapes_of(config: RunConfig) -> Mapping[str, tuple[int, ...]]:
    """The shapes of the weights of a run."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in build.build_model(config).state_dict().items()}
