"""The weights of a model in the layout of another program, checked against its settings."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from ddpm import build
from ddpm.config.run import RunConfig
from ddpm.exchange.correspondence import Correspondence, read
from ddpm.exchange.tensors import ForeignTensors
from ddpm.records.run_folder import Weights
from ddpm.system.errors import InputError
from ddpm.system.meta import shapes_only
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
        raise InputError(
            "incompatible", f"{source} has no network of a known kind ({why}); use another model"
        ) from error


def read_fitting(config: RunConfig, pairs: Iterable[Correspondence], tensors: ForeignTensors) -> Weights:
    """The weights of a run, all of theirs used exactly once.

    Raises:
        InputError: a tensor is missing, left over, or has another shape than the settings of the run require.
    """
    weights = read(pairs, tensors, empty(config))
    tensors.finish()
    return weights


def empty(config: RunConfig) -> Weights:
    """The weights of a run by name, without values."""
    with shapes_only():
        return dict(build.build_model(config).state_dict())
