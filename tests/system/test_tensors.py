import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ddpm.system.tensors import finite, load_tensors

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn)


def test_tensors_and_those_of_a_prefix(tmp_path: Path) -> None:
    tensors = {f"a/{dtype}": torch.arange(6.0).reshape(2, 3).to(dtype) for dtype in FLOATS} | {"b": torch.tensor(True)}
    save_file(tensors, path := tmp_path / "w.safetensors")
    found = load_tensors(path)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name].double(), tensors[name].double()) for name in tensors)
    assert load_tensors(path, "a/").keys() == {str(dtype) for dtype in FLOATS}


def test_a_header_that_is_no_header(tmp_path: Path) -> None:
    """It is as long as the file at most, and nothing of its size is allocated."""
    path = tmp_path / "w.safetensors"
    for head in (b"", b"abc", struct.pack("<Q", 1 << 40), struct.pack("<Q", 8) + b"{", struct.pack("<Q", 2) + b"{}x"):
        path.write_bytes(head)
        with pytest.raises(ValueError, match=r"\S"):
            load_tensors(path)


@pytest.mark.parametrize("dtype", FLOATS)
def test_values_that_are_not_finite(dtype: torch.dtype) -> None:
    tensor = torch.ones(3, 4).to(dtype)
    assert finite(tensor)
    assert finite(tensor[:0])
    for value in (float("nan"), float("inf"), -float("inf")):
        if dtype is not torch.float8_e4m3fn or value != value:  # which has no infinity
            changed = torch.ones(3, 4)
            changed[1, 2] = value
            assert not finite(changed.to(dtype))
