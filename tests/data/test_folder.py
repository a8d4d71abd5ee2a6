import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm.data.cache import prepare
from ddpm.data.folder import open_folder
from ddpm.data.open import open_source
from ddpm.data.report import warnings
from ddpm.data.survey import recall, survey
from ddpm.images.decode import BadImage
from ddpm.images.geometry import Geometry
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


def test_links_that_lead_nowhere_are_bad_files(tree: Tree, png: Make) -> None:
    root = tree({"cat/1.png": png(1), "dog/2.png": png(2)})
    (root / "cat/3.png").symlink_to("/nowhere/3.png")
    (root / "cow").symlink_to("/nowhere/cow", target_is_directory=True)
    (root / "loop.png").symlink_to("loop.png")
    (root / "README.md").symlink_to("/nowhere/README.md")
    os.mkfifo(root / "pipe.png")
    source = open_folder(root)
    assert list(source.broken) == ["cat/3.png", "cow", "loop.png", "pipe.png"]
    assert source.classes == ("cat", "dog")
    found = survey(source)
    assert recall(source) == found
    assert (found.images, list(found.bad)) == (2, list(source.broken))
    with refuses("unreadable", "4 of 6", "/nowhere/3.png", "--skip-bad"):
        found.check()
    for streamed in (False, True):
        with refuses("unreadable", "4 of 6", "--skip-bad"):
            prepare(replace(source, streamed=streamed), Geometry())
    (root / "loop.png").unlink()
    assert open_folder(root).key != source.key


def test_links_to_a_folder_that_contains_them_are_named_in_a_note(tree: Tree, png: Make) -> None:
    root = tree({"cat/1.png": png(1), "dog/2.png": png(2)})
    (root / "dog/above").symlink_to(root)
    source = open_folder(root)
    assert (len(source), source.classes, source.broken) == (2, ("cat", "dog"), {})
    assert [note for note in source.notes if "dog/above" in note] == list(source.notes)


def test_a_folder_of_links_to_nothing_is_not_empty(tmp_path: Path) -> None:
    target = ".git/annex/objects/Xx/Yy/SHA256E-s9--ab.png/SHA256E-s9--ab.png"
    (tmp_path / "1.png").symlink_to(target)
    with refuses("unreadable", "1.png", "git annex get"):
        open_folder(tmp_path)


def test_pointers_say_what_gets_the_content(tree: Tree) -> None:
    lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    found = survey(open_folder(tree({"1.png": lfs, "2.png": "/annex/objects/MD5-s9--ab\n"})))
    assert "git lfs pull" in found.bad["1.png"]
    assert "git annex get" in found.bad["2.png"]


def test_captions_and_archives_that_are_pointers_are_not_read_as_such(tree: Tree, png: Make) -> None:
    lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    for name in ("1.txt", "metadata.csv"):
        with refuses("missing", name, "git lfs pull"):
            open_folder(tree({"1.png": png(), name: lfs}))
    for name in ("a.zip", "a.npz"):
        with refuses("missing", name, "git lfs pull"):
            open_source(tree({name: lfs}) / name)


def test_folders_of_systems_and_servers_are_left_out(tree: Tree, png: Make) -> None:
    names = ["@eaDir/1.png", "b/@eaDir/1.png", "#recycle/1.png", "$RECYCLE.BIN/1.png", ".thumbnails/1.png", "Thumbs.db"]
    source = open_folder(tree({"a/1.png": png(), "b/1.png": png()} | dict.fromkeys([*names, "lost+found/x"], png())))
    assert [item.name for item in source.items] == ["a/1.png", "b/1.png"]
    assert source.ignored == ()
    (said,) = source.notes
    assert "@eaDir (2 times)" in said
    assert said in warnings(survey(source))


def test_names_that_are_not_utf_8_are_shown_with_their_bytes(tmp_path: Path, png: Make) -> None:
    for name in (b"caf\xe9/1.png", b"dog/\xff.png", b"dog/\xff.txt"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png() if path.suffix == ".png" else b"a dog")
    source = pickle.loads(pickle.dumps(open_folder(tmp_path)))
    assert [(i.name, i.label, i.caption) for i in source.items] == [
        (r"caf\xe9/1.png", r"caf\xe9", None),
        (r"dog/\xff.png", "dog", "a dog"),
    ]
    assert [source.read(item.name) for item in source.items] == [png(), png()]


def test_one_letter_in_two_forms(tree: Tree, png: Make) -> None:
    files = {"e\u0301/a\u0308.png": png(1), "e\u0301/\u00e4.txt": "umlaut", "b/1.png": png(2)}
    source = open_folder(tree(files))
    assert [(item.label, item.caption) for item in source.items] == [("b", None), ("\u00e9", "umlaut")]
    assert source.orphans == ()


def test_a_file_that_vanishes_is_bad(tree: Tree, png: Make) -> None:
    root = tree({"a.png": png(1), "b.png": png(2)})
    source = open_folder(root)
    (root / "b.png").unlink()
    assert "No such file" in survey(source).bad["b.png"]


def test_a_file_that_vanishes_while_it_is_listed_is_not_there(
    tree: Tree, png: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, scandir = tree({"a.png": png(1), "b.png": png(2)}), os.scandir

    @contextmanager
    def late(folder: str) -> Iterator[list["os.DirEntry[str]"]]:
        with scandir(folder) as entries:
            found = [*entries]
        (root / "b.png").unlink()
        yield found

    monkeypatch.setattr(os, "scandir", late)
    assert [item.name for item in open_folder(root).items] == ["a.png"]


def test_16_bit_values_of_fewer_bits_are_noticed(tree: Tree, save: Make) -> None:
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    for scale, noted in ((1, True), (16, False)):
        found = survey(open_folder(tree({"a.png": save(Image.fromarray(values * scale))})))
        assert found.peak == 4095 * scale
        assert any("4,095 of 65,535 (12 bits)" in line for line in warnings(found)) == noted
