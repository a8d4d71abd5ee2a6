import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from ddpm.exchange.files import read_tensors
from refusal import refuses


def state():
    torch.manual_seed(0)
    return {"conv.weight": torch.randn(4, 3, 2, 2), "half": torch.randn(5).half(), "empty": torch.zeros(0, 3)}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)


def test_each_format(tmp_path):
    tensors = state()
    save_file(tensors, tmp_path / "a.safetensors")
    assert_same(read_tensors(tmp_path / "a.safetensors"), tensors)
    for suffix in ("pt", "pth", "ckpt", "bin", "PT"):
        torch.save(tensors, tmp_path / f"a.{suffix}")
        assert_same(read_tensors(tmp_path / f"a.{suffix}"), tensors)


def test_nested_states_have_dotted_names(tmp_path):
    weight = torch.nn.Parameter(torch.randn(2, 3))
    optimizer = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    nested = {"step": 3, "ema": {"w": weight, "t": weight.T}, "opt": optimizer, "version": "1", "scaler": None}
    torch.save(nested, tmp_path / "model-1.pt")
    found = read_tensors(tmp_path / "model-1.pt")
    expected = {"ema.w": weight.detach(), "ema.t": weight.detach().T, "opt.state.0.exp_avg": torch.ones(2)}
    assert_same(found, expected)
    assert not any(tensor.requires_grad for tensor in found.values())


def test_names_that_collide_are_refused(tmp_path):
    torch.save({"a": {"b": torch.ones(1)}, "a.b": torch.ones(1)}, tmp_path / "a.pt")
    with refuses("unreadable", "a.b"):
        read_tensors(tmp_path / "a.pt")


def sharded(folder: Path, files: dict[str, str], tensors: dict[str, torch.Tensor]) -> Path:
    for shard in set(files.values()):
        (folder / shard).parent.mkdir(exist_ok=True, parents=True)
        save_file({name: tensors[name] for name, where in files.items() if where == shard}, folder / shard)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return index


def test_shards(tmp_path):
    tensors = state()
    where = {"conv.weight": "model-1-of-2.safetensors", "half": "model-2-of-2.safetensors"}
    index = sharded(tmp_path, where, tensors)
    assert_same(read_tensors(index), {name: tensors[name] for name in where})
    (tmp_path / "model-2-of-2.safetensors").unlink()
    with refuses("missing", "model-2-of-2.safetensors"):
        read_tensors(index)
    save_file({"other": torch.ones(1)}, tmp_path / "model-2-of-2.safetensors")
    with refuses("unreadable", "half"):
        read_tensors(index)


def test_shards_stay_in_their_folder(tmp_path):
    inner = tmp_path / "inner"
    outer = sharded(inner, {"half": "../outer.safetensors"}, state())
    with refuses("unreadable", "../outer.safetensors"):
        read_tensors(outer)


def test_values_are_mapped_rather_than_read(tmp_path):
    path = tmp_path / "a.pt"
    torch.save(state(), path)
    assert not any(tensor.untyped_storage().resizable() for tensor in read_tensors(path).values())
