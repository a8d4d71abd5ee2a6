import hashlib
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ddpm.metrics.features.weights import extractor_hash, fetch, fill, read_weights
from ddpm.system.errors import InputError
from refusal import refuses

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.tensor([1.0, -1.0])}


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('it ran')",))


def net() -> nn.Module:
    return nn.ModuleDict({"a": nn.Linear(3, 2, device="meta")})


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_reads_what_was_written(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    save_file(STATE, path) if suffix == ".safetensors" else torch.save(STATE, path)
    read = read_weights(path)
    assert read.keys() == STATE.keys()
    assert all(torch.equal(read[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_other_files_are_one_line(tmp_path, suffix):
    for content in [b"", b"not weights", bytes(range(256)) * 40, b"PK\x03\x04 half an archive"]:
        path = tmp_path / f"weights{suffix}"
        path.write_bytes(content)
        with refuses("unreadable") as refused:
            read_weights(path)
        assert "\n" not in str(refused.value)


def test_nothing_in_a_file_is_executed(tmp_path):
    torch.save(Evil(), tmp_path / "new.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Evil()))
    for name in ("new.pth", "old.pth"):
        with refuses("unreadable"):
            read_weights(tmp_path / name)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_compiled_network_is_no_file_of_weights(tmp_path):
    torch.jit.trace(nn.Linear(3, 2), torch.zeros(1, 3)).save(str(tmp_path / "graph.pt"))
    with refuses("unreadable"):
        read_weights(tmp_path / "graph.pt")


@pytest.mark.parametrize("value", [torch.zeros(3), {}, {"a": 1}, [torch.zeros(3)]])
def test_only_names_with_tensors_are_weights(tmp_path, value):
    torch.save(value, tmp_path / "weights.pt")
    with refuses("unreadable"):
        read_weights(tmp_path / "weights.pt")


def test_no_file_and_other_kinds_are_said(tmp_path):
    with refuses("missing"):
        read_weights(tmp_path / "none.pth")
    np.savez(tmp_path / "weights.npz", a=np.zeros(1))
    with refuses("invalid"):
        read_weights(tmp_path / "weights.npz")


def test_fill_gives_a_network_its_weights_in_float32():
    empty = net()
    fill(empty, {name: w.double() for name, w in STATE.items()} | {"a.num_batches_tracked": torch.tensor(3)}, "here")
    assert torch.equal(empty["a"].weight, STATE["a.weight"])
    assert empty["a"].bias.dtype == torch.float32


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({}, "it lacks a.bias and 1 more"),
        ({"a.weight": STATE["a.weight"]}, "it lacks a.bias"),
        (STATE | {"b": torch.zeros(1)}, "has unknown b"),
        (STATE | {"a.bias": torch.zeros(3)}, "has a different shape of a.bias"),
        (
            {"b": STATE["a.bias"], "a.weight": torch.zeros(3, 2)},
            "it lacks a.bias, has unknown b, has a different shape of",
        ),
    ],
)
def test_fill_names_what_does_not_fit(state, said):
    with pytest.raises(InputError) as refused:
        fill(net(), state, "x.pth")
    assert str(refused.value).startswith(f"x.pth does not fit ModuleDict: {said}")


def test_the_fingerprint_is_of_everything_that_counts():
    base = extractor_hash(STATE, "as it is")
    assert len(base) == 16
    assert base == extractor_hash(
        dict(reversed(STATE.items())) | {"a.num_batches_tracked": torch.tensor(3)}, "as it is"
    )
    others = [
        extractor_hash(STATE, "doubled"),
        extractor_hash({"b.weight": STATE["a.weight"], "a.bias": STATE["a.bias"]}, "as it is"),
        extractor_hash(STATE | {"a.weight": STATE["a.weight"].view(3, 2)}, "as it is"),
        extractor_hash(STATE | {"a.bias": torch.tensor([1.0, -1.0]).nextafter(torch.tensor(2.0))}, "as it is"),
        extractor_hash({name: w.double() for name, w in STATE.items()}, "as it is"),
    ]
    assert len({base, *others}) == 1 + len(others)


def test_fetch_keeps_the_right_file_only(tmp_path):
    source, folder = tmp_path / "weights.pth", tmp_path / "cache" / "weights"
    source.write_bytes(b"the weights")
    digest = hashlib.sha256(b"the weights").hexdigest()
    for prefix in (digest[:8], digest):
        path = fetch(source.as_uri(), prefix, folder)
        assert path == folder / "weights.pth"
        assert path.read_bytes() == b"the weights"

    source.unlink()  # there already: nothing is fetched
    assert fetch(source.as_uri(), digest, folder) == path

    source.write_bytes(b"the weights")
    path.write_bytes(b"damaged")
    assert fetch(source.as_uri(), digest, folder).read_bytes() == b"the weights"


def test_fetch_leaves_nothing_of_a_wrong_file(tmp_path):
    source, folder = tmp_path / "weights.pth", tmp_path / "cache"
    source.write_bytes(b"a page that says: sign in")
    with refuses("unreadable", "--weights"):
        fetch(source.as_uri(), "6726825d", folder)
    assert list(folder.iterdir()) == []


def test_fetch_without_a_network_says_where_and_how(tmp_path):
    url = (tmp_path / "none.pth").as_uri()
    with pytest.raises(InputError) as refused:
        fetch(url, "6726825d", tmp_path / "cache")
    assert str(refused.value).startswith(f"{url} cannot be downloaded (")
    assert str(refused.value).endswith("--weights FILE")
    assert "\n" not in str(refused.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_fetch_says_where_it_cannot_write(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "weights.pth").touch()
    with refuses("unwritable"):
        fetch((tmp_path / "weights.pth").as_uri(), "", tmp_path / "file" / "weights")
