"""Files that are cut off, renamed, changed or made to do harm: each ends in one clear error, and nothing in it runs."""

import random
import resource
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from ddpm.exchange import dit, lucidrains, openai
from ddpm.exchange.files import read_tensors
from ddpm.system.errors import InputError
from lucidrains_states import made, trainers_state
from malformed_files import damaged, harmful, zipped
from openai_unet import SMALL, make_state, text
from published_dit import make_state as make_dit

FORMATS: dict[str, tuple[Any, str, Callable[[], dict[str, Any]]]] = {
    "openai": (openai, text(SMALL), lambda: make_state(SMALL)),
    "dit": (dit, "--num_heads 2 --num_classes 3", make_dit),
    "lucidrains": (lucidrains, "--image_size 8x12", lambda: trainers_state(made("v", "state"))),
}
"""Each format with flags and a valid state."""
MEMORY = 1 << 30
"""What reading a file of a few megabytes may take, in bytes, above what the process has."""
FREE = ("online_model.", "initted", "step", "label_emb.")
"""What an average of lucidrains' models has besides its weights, and a table of any number of classes."""


def changed(state: dict[str, Any], draw: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """States with a tensor that is missing, renamed, of another shape or type, or one too many."""
    names = sorted(name for name in state if not name.startswith(FREE))
    for _ in range(3):
        name = draw.choice(names)
        left = {key: value for key, value in state.items() if key != name}
        tensor = state[name]
        yield f"without {name}", left
        yield f"{name} renamed", left | {f"{name}.old": tensor}
        yield f"{name} of another shape", left | {name: tensor[None]}
        yield f"{name} longer", left | {name: torch.cat([tensor, tensor])} if tensor.ndim else left
        yield f"{name} without axes", left | {name: torch.tensor(1.0)}
    yield "one more", state | {"other.weight": torch.ones(2)}
    yield "empty tensors", {name: torch.zeros(0) if name in names else value for name, value in state.items()}


def refused(path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(InputError) as error:
        read(path)
    message = str(error.value)
    assert "\n" not in message
    assert path.name in message or "flags" in message
    assert len(message) < 1000


@pytest.fixture
def bounded_memory() -> Iterator[None]:
    """No more address space than files of this size need."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else None
    if pages is None:
        yield
        return
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


def test_harmful_files(tmp_path, monkeypatch, bounded_memory):
    canary = tmp_path / "canary"
    monkeypatch.setenv("CANARY", str(canary))
    for i, (name, suffix, content) in enumerate(harmful()):
        path = tmp_path / f"{i}{suffix}"
        path.write_bytes(content(canary) if callable(content) else content)
        try:
            refused(path, read_tensors)
        except BaseException as error:
            error.add_note(name)
            raise
        assert not canary.exists(), name
        path.unlink()


def test_damaged_files(tmp_path, bounded_memory):
    count = 0
    for i, (name, suffix, content) in enumerate(damaged(0)):
        path = tmp_path / f"{i}{suffix}"
        path.write_bytes(content)
        try:
            refused(path, read_tensors)
        except BaseException as error:
            error.add_note(f"{name} {suffix}")
            raise
        count += 1
    assert count >= 70


@pytest.mark.parametrize("name", list(FORMATS))
def test_changed_states(name, tmp_path):
    model, flags, valid = FORMATS[name]
    state, draw = valid(), random.Random(0)
    states = list(changed(state, draw)) if name != "lucidrains" else list(nested(state, draw))
    for i, (what, wrong) in enumerate(states):
        path = tmp_path / f"{i}.pt"
        torch.save(wrong, path)
        try:
            refused(path, lambda path: model.read_model(path, flags))
        except BaseException as error:
            error.add_note(what)
            raise


def nested(state: dict[str, Any], draw: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    for what, wrong in changed(state["ema"], draw):
        yield what, state | {"ema": wrong}


def test_single_bits(tmp_path, bounded_memory):
    """A flipped bit is an error or, in the values, another model; nothing else."""
    content, draw = zipped(make_dit()), random.Random(0)
    path = tmp_path / "bit.pt"
    for _ in range(60):
        i = draw.choice([draw.randrange(len(content)), draw.randrange(2000), len(content) - 1 - draw.randrange(2000)])
        path.write_bytes(content[:i] + bytes([content[i] ^ 1 << draw.randrange(8)]) + content[i + 1 :])
        with suppress(InputError):
            if dit.recognises(path):
                dit.read_model(path, "--num_heads 2")
