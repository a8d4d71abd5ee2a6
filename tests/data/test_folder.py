import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from ddpm.data.tree import open_folder
from ddpm.images.decode import BadImage
from refusal import refuses

Make = Callable[..., bytes]
Tree = Callable[..., Path]


def test_a_nested_folder(tree: Tree, png: Make) -> None:
    root = tree({"a/1.png": png(1), "b/c/2.png": png(2), "b/2.txt": "x", ".git/3.png": png(3), "Thumbs.db": ""})
    source = pickle.loads(pickle.dumps(open_folder(root)))
    assert [(item.name, item.label) for item in source.items] == [("a/1.png", "a"), ("b/c/2.png", "b")]
    assert source.read("b/c/2.png") == png(2)
    assert source.size == len(png(1)) + len(png(2))
    assert source.orphans == ("b/2.txt",)


def test_a_hidden_root_is_no_reason(tree: Tree, png: Make) -> None:
    assert len(open_folder(tree({".hidden/a.png": png()}) / ".hidden")) == 1


def test_the_key_sees_a_file_replaced_at_the_same_age_and_size(tree: Tree, png: Make) -> None:
    root = tree({"a.png": png(1)})
    before, times = open_folder(root).key, (root / "a.png").stat()
    assert open_folder(root).key == before
    assert len(png(2)) == len(png(1))
    tree({"a.png": png(2)})
    os.utime(root / "a.png", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert open_folder(root).key != before


def test_links_are_followed_once(tree: Tree, png: Make, tmp_path: Path) -> None:
    root = tree({"a/1.png": png()})
    other = tmp_path / "other"
    other.mkdir()
    (other / "2.png").write_bytes(png(2))
    try:
        (root / "b").symlink_to(other, target_is_directory=True)
        (root / "a" / "loop").symlink_to(root, target_is_directory=True)
    except OSError:
        pytest.skip("no links here")
    assert [item.name for item in open_folder(root).items] == ["a/1.png", "b/2.png"]


def test_a_folder_that_cannot_be_listed(tree: Tree, png: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree({"a.png": png()})

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with refuses("unreadable"):
        open_folder(root)


def test_a_huge_file_is_not_read(tree: Tree) -> None:
    root = tree({"a.png": ""})
    with (root / "a.png").open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(BadImage, match=r"2\.1 GB"):
        open_folder(root).read("a.png")
