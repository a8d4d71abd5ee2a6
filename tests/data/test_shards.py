import os
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm.data import indexing, shards
from ddpm.data.cache import prepare
from ddpm.data.dataset import Dataset
from ddpm.data.index import IMAGE, facts
from ddpm.data.open import open_source
from ddpm.data.source import Source
from ddpm.data.survey import survey
from ddpm.data.tar import scan_tar
from ddpm.images.decode import decode
from ddpm.images.geometry import Geometry
from ddpm.system.cache import cache_folder
from ddpm.system.errors import Code
from refusal import refuses
from shards import tar

Make = Callable[..., bytes]


@pytest.fixture
def folder(tmp_path: Path, png: Make) -> Path:
    """Three shards of 40 images in 3 classes, each with its number as a caption; image 7 is damaged."""
    for shard in range(3):
        files: dict[str, bytes | str] = {}
        for i in range(40 * shard, 40 * shard + 40):
            image = png(i, mode="RGB") if i != 7 else "no picture"
            files |= {f"{i:06}.cls": str(i % 3), f"{i:06}.png": image, f"{i:06}.txt": f"image {i}\nnumber {i}"}
        tar(tmp_path / "set" / f"data-{shard:03}.tar", files)
    return tmp_path / "set"


def test_samples_have_what_shares_their_name(folder: Path) -> None:
    source = open_source(folder)
    assert (len(source), source.classes, source.ignored) == (120, ("0", "1", "2"), ())
    assert source.items[41].name == "data-001.tar/000041.png"
    assert (source.items[41].label, source.items[41].caption) == ("2", "image 41\nnumber 41")
    assert IMAGE.itemsize == 16


@pytest.mark.parametrize("pattern", ["data-{000..002}.tar", "data-*.tar", "data-{000,001,002}.t?r"])
def test_patterns_name_the_same_files(folder: Path, pattern: str) -> None:
    assert open_source(str(folder / pattern)).key == open_source(folder).key


@pytest.mark.parametrize("name", ["what? [1]*", "{1,2}", "a{1..3}.tar"])
def test_a_path_that_exists_is_not_a_pattern(tmp_path: Path, png: Make, name: str) -> None:
    if name.endswith(".tar"):
        tar(tmp_path / name, {"1.png": png()})
    else:
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(png())
    assert [item.name for item in open_source(tmp_path / name).items] == ["1.png"]


def test_they_are_those_of_a_folder_of_the_same_files(tmp_path: Path, png: Make) -> None:
    files: dict[str, bytes | str] = {
        f"zoo/{name}/{i}.png": png(3 * i + len(name), mode="RGB") for name in ("cat", "mouse") for i in range(3)
    }
    files |= {"zoo/mouse/._2.png": "junk", "zoo/cat/1.txt": "a cat", "zoo/cat/10.txt": ""}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    whole = dict(sorted(files.items()))
    theirs, ours = open_source(tmp_path / "zoo"), open_source(tar(tmp_path / "zoo.tar", whole))
    assert [item.label for item in ours.items] == [item.label for item in theirs.items]
    assert [item.caption for item in ours.items] == [item.caption for item in theirs.items]
    assert ours.ignored == ("zoo/cat/10.txt",)
    assert np.array_equal(prepare(ours, Geometry()).images, prepare(theirs, Geometry()).images)


@pytest.mark.parametrize(
    ("files", "label", "caption"),
    [
        ({"1.json": '{"caption": "red", "label": 1}'}, "1", "red"),
        ({"1.json": '{"text": ["red", "round"], "cls": "ball"}'}, "ball", "red\nround"),
        ({"1.json": '{"caption": "red"}', "1.txt": "blue", "1.cls": " 0\n"}, "0", "blue"),
        ({"1.json": "[1]", "1.mask.png": "ignored"}, None, None),
        ({"1.json": "{", "1.txt": "a\u2028b\rc"}, None, "a b\nc"),
        ({"1.json": '{"text": " ", "caption": "red"}', "1.txt": ""}, None, "red"),
        ({"1.json": '{"text": {"en": "red"}, "cls": 2}', "1.txt": "blue"}, "2", "blue"),
    ],
)
def test_labels_and_captions_in_every_form(
    tmp_path: Path, png: Make, files: dict[str, str], label: str | None, caption: str | None
) -> None:
    source = open_source(tar(tmp_path / "a.tar", {"1.png": png(), **files}))
    assert [(item.name, item.label, item.caption) for item in source.items] == [("1.png", label, caption)]


@pytest.mark.parametrize(
    ("name", "content", "code", "named"),
    [
        ("1.txt", "süß".encode("latin1"), "unreadable", "0xfc at offset 1"),
        ("1.txt", "a cat".encode("utf-16"), "unreadable", "utf-16"),
        ("1.cls", "süß".encode("latin1"), "unreadable", "0xfc"),
        ("1.json", '{"text": "süß"}'.encode("latin1"), "unreadable", "0xfc"),
        ("1.json", '{"text": {"a": 1}}', "invalid", "text must be a string"),
        (
            "1.txt",
            "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 3\n",
            "missing",
            "git lfs pull",
        ),
    ],
)
def test_texts_that_are_none_are_refused(
    tmp_path: Path, png: Make, name: str, content: bytes | str, code: Code, named: str
) -> None:
    path = tar(tmp_path / "a.tar", {"1.png": png(), name: content})
    with refuses(code, name, str(path), named):
        open_source(path)


@pytest.mark.parametrize("streamed", [False, True])
def test_damaged_images_are_left_out_or_replaced(
    folder: Path, png: Make, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = prepare(replace(open_source(folder), streamed=streamed), Geometry((4, 4), "RGB"), skip_bad=True)
    good = [i for i in range(120) if i != 7]
    wanted = [i if i != 7 else 8 for i in range(120)] if streamed else good
    pixels, taken = data.take(np.arange(len(data)))
    exact = Geometry((4, 4), "RGB")
    assert np.array_equal(pixels, [exact.apply(decode(png(i, mode="RGB"))[0]) for i in wanted])
    assert data.labels is not None
    assert data.captions is not None
    assert data.labels[taken].tolist() == [i % 3 for i in wanted]
    assert [data.captions[i] for i in taken.tolist()] == [f"image {i}\nnumber {i}" for i in wanted]
    assert data.class_counts().tolist() == ([40, 40, 40] if streamed else [40, 39, 40])
    if streamed:
        monkeypatch.delattr(Source, "columns")  # lists the names of all images, and this is asked in each step
        assert [line.split(":")[0] for line in data.unusable()] == ["data-000.tar/000007.png"]
        with refuses("unreadable", "000007.png"):
            data.read_exactly(np.array([7]))


@pytest.mark.parametrize("streamed", [False, True])
def test_other_images_of_the_same_sizes_are_read(tmp_path: Path, streamed: bool) -> None:
    """Of files that were written again, nothing is taken from the caches, and a run on them would notice."""

    def opened(shade: int) -> Dataset:
        picture = BytesIO()
        Image.new("RGB", (4, 4), (shade, shade, shade)).save(picture, "BMP")
        path = tar(tmp_path / "new.tar", {f"{i}.bmp": picture.getvalue() for i in range(3)})
        os.utime(path, ns=(shade, shade))
        path = path.replace(tmp_path / "a.tar")
        return prepare(replace(open_source(path), streamed=streamed), Geometry((4, 4), "RGB"))

    before, after = opened(10), opened(200)
    assert np.unique(after.read(np.arange(3))).tolist() == [200]
    assert after.fingerprint != before.fingerprint


def test_the_survey_finds_what_is_wrong(folder: Path) -> None:
    found = survey(open_source(folder))
    assert (found.images, found.captions, list(found.bad)) == (119, 119, ["data-000.tar/000007.png"])
    assert found.classes == {"0": 40, "1": 39, "2": 40}


def test_an_index_is_resumed_after_a_kill(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scanned = list[str]()

    def scan(location, ignored):
        scanned.append(location[-7:])
        if len(scanned) == 3:
            raise KeyboardInterrupt
        return scan_tar(location, ignored)

    monkeypatch.setitem(shards.KINDS, ".tar", (scan, shards.read_tar))
    monkeypatch.setattr(indexing, "cores", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        open_source(folder)
    first = open_source(folder)
    assert scanned == ["000.tar", "001.tar", "002.tar", "002.tar"]
    assert open_source(folder).key == first.key
    assert len(scanned) == 4


@pytest.mark.parametrize("name", ["index.json", "images.bin", "ends.u8", "texts.bin"])
def test_a_damaged_index_is_built_again(folder: Path, name: str) -> None:
    key = open_source(folder).key
    (path,) = cache_folder().glob(f"index/*/whole/{name}")
    for harm in (lambda: path.write_bytes(path.read_bytes()[:-1]), lambda: path.write_bytes(b""), path.unlink):
        harm()
        facts.cache_clear()
        source = open_source(folder)
        assert (source.key, source.items[119].caption) == (key, "image 119\nnumber 119")


def test_what_has_no_order_is_refused(tmp_path: Path, png: Make) -> None:
    whole = tar(tmp_path / "whole.tar", {"1.png": png()}).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:600])
    with refuses("unreadable", "cut.tar", "download"):
        open_source(tmp_path / "cut.tar")
    tar(tmp_path / "half.tar", {"1.png": png(), "1.cls": "0", "2.png": png()})
    with refuses("invalid", "2.png", "label"):
        open_source(tmp_path / "half.tar")
    with refuses("missing", "holds no images"):
        open_source(tar(tmp_path / "texts.tar", {"1.txt": "a"}))
    with refuses("missing", "a-000.tar does not exist"):
        open_source(str(tmp_path / "a-{000..001}.tar"))
    with refuses("missing", "matches no files"):
        open_source(str(tmp_path / "b-*.tar"))


@pytest.mark.parametrize("image", ["set/1.png", "set/cat/1.JPG"])
def test_a_folder_of_images_with_a_stray_tar_is_refused(tmp_path: Path, png: Make, image: str) -> None:
    tar(tmp_path / "set" / "a.tar", {"1.png": png()})
    (tmp_path / image).parent.mkdir(exist_ok=True)
    (tmp_path / image).write_bytes(png())
    with refuses("conflict", "a.tar", image):
        open_source(tmp_path / "set")


@pytest.mark.parametrize("names", [("2019", "2020", "2021"), ("class1", "class2", "class10")])
def test_classes_of_folders_are_those_on_disk(tmp_path: Path, png: Make, names: tuple[str, ...]) -> None:
    files = {f"zoo/{name}/{i}.png": png(i) for name in names for i in range(2)}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    packed = open_source(tar(tmp_path / "zoo.tar", dict(sorted(files.items()))))
    assert packed.classes == open_source(tmp_path / "zoo").classes == names
