import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cases import cases
from ddpm.system.arrays import NpzArrays, read_npy

ARRAYS: list[Any] = [
    np.arange(12, dtype=np.uint8).reshape(3, 4),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.array(3),
    np.zeros((0, 4)),
    np.array(["a", "bcd"]),
    np.arange(3).astype(">i4"),
    np.array([True, False]),
]


@cases("array", ARRAYS)
def test_arrays_as_numpy_reads_them(array: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", a=array, b=np.array([{}]))
        with NpzArrays(tmp_path / "a.npz") as file:
            assert file.names == ("a", "b")
            header = file.header("a")
            assert header is not None
            assert (header.shape, header.dtype, header.nbytes) == (array.shape, array.dtype, array.nbytes)
            for found in (file.read("a"), read_npy(tmp_path / "a.npy")):
                assert found.dtype == array.dtype
                np.testing.assert_array_equal(found, array)
            assert file.header("c") is None
            with pytest.raises(ValueError, match="object"):
                file.header("b")


@cases(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-4,), }",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (), }",
        "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': ('|u1', (4,)), 'fortran_order': False, 'shape': (1,), }",
        "(" * 5000,
        "{}",
    ],
)
def test_headers_that_promise_too_much(header: str, tmp_path: Path) -> None:
    text = header.encode().ljust(64) + b"\n"
    data = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(4)
    (tmp_path / "a.npy").write_bytes(data)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.npy", data)
    (tmp_path / "a.npz").write_bytes(out.getvalue())
    with pytest.raises(ValueError, match=r"\S"):
        read_npy(tmp_path / "a.npy")
    with NpzArrays(tmp_path / "a.npz") as file, pytest.raises(ValueError, match=r"\S"):
        file.header("a")
