import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ddpm.data.arrays import array_source
from ddpm.data.folder import open_folder
from ddpm.data.sweep import CHUNK, sweep
from ddpm.images.decode import Look
from ddpm.images.geometry import Geometry

Make = Callable[..., bytes]
Tree = Callable[..., Path]


def test_findings_come_in_the_order_of_the_source(tree: Tree, png: Make) -> None:
    source = open_folder(tree({"a.png": png(1), "b.png": "text", "c.png": png(2, mode="L")}))
    done: list[tuple[int, int]] = []
    (a, pixels), b, (c, _) = sweep(source, Geometry((2, 2), "RGB"), progress=lambda *n: done.append(n))
    assert a[:3] == ((4, 4), "RGB", "RGB")
    assert pixels is not None
    assert pixels.shape == (2, 2, 3)
    assert b == ("text, not a picture", None)
    assert isinstance(c, Look)
    assert c.mode == "L"
    assert done == [(3, 3)]


def test_without_a_geometry_there_are_no_pixels(tree: Tree, png: Make) -> None:
    ((_, pixels),) = sweep(open_folder(tree({"a.png": png()})), None)
    assert pixels is None


def test_a_file_that_went_away_is_named(tree: Tree, png: Make) -> None:
    root = tree({"a.png": png(), "b.png": png()})
    source = open_folder(root)
    (root / "a.png").unlink()
    assert next(sweep(source, None))[0] == "cannot be read (No such file or directory)"


def test_processes_find_the_same(tree: Tree, png: Make) -> None:
    files = {f"{i:03}.png": png(i) if i % 50 else "text" for i in range(2 * CHUNK + 9)}
    source = open_folder(tree(files))
    done: list[int] = []
    here, there = (list(sweep(source, Geometry(), workers, lambda i, _: done.append(i))) for workers in (0, 2))
    for (look, pixels), (other, same) in zip(here, there, strict=True):
        assert look == other
        assert np.array_equal(pixels, same)  # type: ignore[arg-type]
    assert done == [CHUNK, 2 * CHUNK, 2 * CHUNK + 9] * 2


def test_arrays_are_never_sent_to_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddpm.data.sweep.in_processes", None)
    assert len(list(sweep(array_source(np.zeros((3, 4, 4), np.uint8)), None, workers=2))) == 3


def test_decoding_needs_no_torch() -> None:
    code = "import sys, ddpm.data.cache, ddpm.data.open; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_script_without_a_guard_is_told_so(tree: Tree, png: Make, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from ddpm.data.folder import open_folder\n"
        "from ddpm.data.sweep import sweep\n"
        f"list(sweep(open_folder(Path({str(tree({'a.png': png()}))!r})), None, workers=1))\n"
    )
    ran = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ)
    )
    assert ran.returncode
    assert '`if __name__ == "__main__":`' in ran.stderr.splitlines()[-1]
