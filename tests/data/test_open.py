import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ddpm.data.open import open_source
from ddpm.system.errors import InputError
from refusal import refuses

Tree = Callable[..., Path]


def test_each_kind(tree: Tree, png: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree({"a.png": png()})
    with zipfile.ZipFile(tmp_path / "b.ZIP", "w") as archive:
        archive.writestr("a.png", png())
    np.savez(tmp_path / "c.npz", images=np.zeros((2, 4, 4), np.uint8))
    assert open_source(root).read("a.png") == open_source(str(tmp_path / "b.ZIP")).read("a.png") == png()
    assert len(open_source(tmp_path / "c.npz")) == 2
    monkeypatch.chdir(root)
    assert len(open_source(".")) == 1


def test_digits() -> None:
    source = open_source("digits")
    assert len(source) == 1797
    assert source.classes == tuple("0123456789")
    images = np.stack([np.asarray(source.read(item.name)) for item in source.items])
    assert (images.min(), images.max(), images.shape) == (0, 255, (1797, 8, 8))
    assert len(np.unique(images)) == 17


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with refuses("missing"):
        open_source("digits")


def test_a_folder_named_digits(tree: Tree, png: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree({"digits/a.png": png()}))
    assert len(open_source("./digits")) == len(open_source(Path("digits"))) == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("flowres", r"flowres does not exist \(did you mean flowers\?\)"),
        ("xyz", "xyz does not exist; .*a folder"),
        ("no/flowers", r"does not exist \(nor does no\)"),
        ("a.tar", r"a.tar is not a whole, uncompressed .tar"),
        ("a.tar.gz", r"a.tar.gz has an unsupported type; unpack it"),
        ("b", "b has an unsupported type \\(unknown\\)"),
        ("empty", "empty holds no images"),
    ],
)
def test_what_cannot_be_opened(tree: Tree, monkeypatch: pytest.MonkeyPatch, path: str, message: str) -> None:
    root = tree({"flowers/x": "", "a.tar": "", "a.tar.gz": "", "b": ""})
    (root / "empty").mkdir()
    monkeypatch.chdir(root)
    with pytest.raises(InputError, match=message):
        open_source(path)
