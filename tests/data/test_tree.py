import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ddpm.data.source import Source
from ddpm.data.tree import open_folder, open_zip, tree_source
from ddpm.images.decode import BadImage
from refusal import refuses

Make = Callable[..., bytes]
Tree = Callable[..., Path]


def nothing(name: str) -> bytes:
    raise AssertionError(name)


def listed(*names: str, stamp: int = 0) -> Source:
    return tree_source(dict.fromkeys(names, (1, stamp)), nothing, "here")


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["a/1.png", "b/2.png"], ["a", "b"]),
        (["a/1.png", "a/x/2.png", "b/y/3.png"], ["a", "a", "b"]),
        (["wrap/a/1.png", "wrap/b/2.png"], ["a", "b"]),
        (["1.png", "2.png"], [None, None]),
        (["1.png", "a/2.png", "b/3.png"], [None, None, None]),
        (["a/1.png", "a/2.png"], [None, None]),
        (["wrap/0.png", "wrap/a/1.png"], [None, None]),
        (["a/1.png", "ab/2.png"], ["a", "ab"]),
        (["1.png"], [None]),
    ],
)
def test_folders_are_classes(names: list[str], labels: list[str | None]) -> None:
    source = listed(*names)
    assert [item.label for item in source.items] == labels
    assert source.classes == tuple(sorted({label for label in labels if label}))


def test_the_order_is_that_of_the_names() -> None:
    names = ["b.png", "a/2.PNG", "a/10.jpg", "Z.webp"]
    assert [item.name for item in listed(*names).items] == ["Z.webp", "a/10.jpg", "a/2.PNG", "b.png"]
    assert listed(*names).key == listed(*reversed(names)).key


def test_the_key_follows_names_sizes_and_stamps() -> None:
    assert len({listed("a.png").key, listed("b.png").key, listed("a.png", stamp=1).key}) == 3


def test_other_files_are_listed() -> None:
    assert listed("a.png", "photo.heic", "model.pt").ignored == ("model.pt", "photo.heic")


def test_no_images_is_an_error_that_says_what_is_there() -> None:
    with refuses("missing", "holds no images"):
        listed("a.heic", "b.HEIC", "c")
    with refuses("missing", "holds no images"):
        listed()


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
    (root / "b").symlink_to(other, target_is_directory=True)
    (root / "a" / "loop").symlink_to(root, target_is_directory=True)
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


def zipped(path: Path, files: Mapping[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_wrapped_folder(tmp_path: Path, png: Make) -> None:
    files = {
        "set/": "",
        "set/cat/1.png": png(1),
        "set/dog/1.png": png(2),
        "set/dog/1.txt": "a dog",
        "__MACOSX/set/cat/._1.png": b"?",
        "set/.DS_Store": b"?",
    }
    source = pickle.loads(pickle.dumps(open_zip(zipped(tmp_path / "a.zip", files))))
    names = [(item.name, item.label, item.caption) for item in source.items]
    assert names == [("set/cat/1.png", "cat", None), ("set/dog/1.png", "dog", "a dog")]
    assert source.read("set/dog/1.png") == png(2)
    assert source.ignored == ()


def test_the_key_of_an_archive_follows_the_content(tmp_path: Path, png: Make) -> None:
    path = tmp_path / "a.zip"
    first = open_zip(zipped(path, {"1.png": png(1)})).key
    path.touch()
    assert open_zip(path).key == first
    assert open_zip(zipped(path, {"1.png": png(2)})).key != first


def test_what_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK nothing")
    with refuses("unreadable"):
        open_zip(path)


def test_an_encrypted_archive(tmp_path: Path, png: Make) -> None:
    path = zipped(tmp_path / "a.zip", {"1.png": png()})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with refuses("unreadable"):
        open_zip(path)


def test_a_damaged_member(tmp_path: Path, png: Make) -> None:
    path = zipped(tmp_path / "a.zip", {"1.png": png(1), "2.png": png(2)})
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 6] ^= 255
    path.write_bytes(data)
    source = open_zip(path)
    with pytest.raises(BadImage, match="damaged inside the archive"):
        source.read("1.png")
    assert source.read("2.png") == png(2)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"1.png": b""})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(BadImage, match=r"2\.1 GB"):
        open_zip(path).read("1.png")
