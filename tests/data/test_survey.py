from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm.data.arrays import array_source
from ddpm.data.folder import open_folder
from ddpm.data.report import describe, warnings
from ddpm.data.source import Source
from ddpm.data.survey import one_mode, one_size, recall, survey
from ddpm.system.names import listed
from refusal import refuses

Make = Callable[..., bytes]
Tree = Callable[..., Path]


@pytest.fixture
def zoo(tree: Tree, png: Make, save: Make) -> Source:
    """One of each oddity, in two classes."""
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [Image.new("L", (4, 4), v) for v in (0, 255)]
    files = {
        "cat/1.png": png(1),
        "cat/2.png": png(1),
        "cat/3.png": png(3, mode="RGBA"),
        "cat/4.jpg": save(Image.new("RGB", (6, 3)), "JPEG", exif=exif),
        "dog/1.gif": save(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "dog/2.png": save(Image.fromarray(np.full((4, 4), 257, np.uint16))),
        "dog/3.png": "text",
        "dog/4.png": "",
        "cat/1.txt": "first",
        "cat/9.txt": "nobody",
        "dog/5.heic": "?",
    }
    return open_folder(tree(files))


def test_everything_is_counted(zoo: Source) -> None:
    found = survey(zoo)
    assert found.images == 6
    assert found.sizes == {(4, 4): 5, (6, 3): 1}
    assert found.modes == {"RGB": 4, "RGBA": 1, "L": 1}
    assert list(found.stored) == ["RGB", "RGBA", "P", "I;16"]
    assert list(found.bad) == ["dog/3.png", "dog/4.png"]
    assert found.classes == {"cat": 4, "dog": 2}
    assert (found.captions, len(found.uncaptioned), found.orphans) == (1, 5, ("cat/9.txt",))
    assert found.ignored == ("dog/5.heic",)
    assert (found.animated, found.turned, found.deep, found.duplicates) == (1, 1, 1, 1)


def test_it_is_remembered(zoo: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    assert recall(zoo) is None
    found = survey(zoo)
    assert recall(zoo) == found
    monkeypatch.setattr("ddpm.data.survey.sweep", None)
    assert survey(zoo) == found


def test_it_does_without_a_memory(zoo: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert survey(zoo).images == 6


def test_mixed_modes_and_sizes_need_a_choice(zoo: Source) -> None:
    found = survey(zoo)
    with refuses("invalid", "--mode"):
        one_mode(found.modes)
    with refuses("invalid"):
        one_size(found.sizes)


def test_one_mode_and_size_need_none() -> None:
    found = survey(array_source(np.zeros((3, 4, 6), np.uint8)))
    assert (one_mode(found.modes), one_size(found.sizes)) == ("L", (4, 6))


def test_bad_files_are_named(zoo: Source) -> None:
    found = survey(zoo)
    with refuses("unreadable", "--skip-bad"):
        found.check()
    found.check(skip_bad=True)


def test_of_many_bad_files_the_first_are_named(tree: Tree) -> None:
    found = survey(open_folder(tree({f"{i}.png": "text" for i in range(9)} | {"last.png": ""})))
    with refuses("unreadable", "0.png", "last.png: the file is empty", "and 7 more"):  # one of each reason first
        found.check(skip_bad=True)


def test_the_report_says_what_was_found(zoo: Source) -> None:
    lines = "\n".join(describe(zoo, survey(zoo)))
    for part in (
        "6 valid, 2 unusable",
        "5 of 4 × 4, 1 of 6 × 3 (height × width)",
        "4 RGB, 1 RGBA, 1 L (in the files: RGB, RGBA, P, I;16)",
        "2: cat 4, dog 2",
        "captions  1 on 1 of 6 images, 1 distinct",
        "1 word at the median, 1 at most",
        "most frequent: first 1",
        "1 animated (first frame used), 1 rotated upright by EXIF, "
        "1 16-bit (scaled to 8), 1 identical to an earlier one",
    ):
        assert part in lines


def test_warnings_name_what_has_no_partner(zoo: Source) -> None:
    lines = "\n".join(warnings(survey(zoo)))
    for part in (
        "2 unusable: dog/3.png (text, not a picture), dog/4.png (the file is empty)",
        "5 without a caption: cat/2.png, cat/3.png, cat/4.jpg and 2 more",
        "1 captions without an image: cat/9.txt",
        "1 ignored files: dog/5.heic",
        "only 6 images",
    ):
        assert part in lines


def test_a_plain_data_set_has_short_words() -> None:
    source = array_source(np.arange(1000 * 16, dtype=np.uint32).view(np.uint8).reshape(1000, 8, 8))
    plain = survey(source)
    assert len(describe(source, plain)) == 3
    assert warnings(plain) == []


def test_captions_are_described() -> None:
    captions = ["A caf\u00e9, a cat's tail", "a dog\na red dog", "", "a cafe\u0301", "…", ""]
    source = array_source(np.zeros((6, 4, 4), np.uint8), captions=captions)
    assert describe(source, survey(source))[3:6] == [
        "captions  5 on 4 of 6 images, 5 distinct",
        "          2 words at the median, 5 at most",
        "          most frequent: a 5, caf\u00e9 2, dog 2, cat's 1, tail 1, red 1",
    ]


def test_other_files_are_those_of_now(zoo: Source) -> None:
    """The stored survey is of the images; the files beside them may have changed."""
    found, changed = survey(zoo), replace(zoo, orphans=(), ignored=("new",))
    assert survey(changed) == replace(found, orphans=(), ignored=("new",))


def test_long_names_of_classes_are_shortened() -> None:
    source = array_source(np.zeros((2, 4, 4), np.uint8), np.array([0, 1]), ["a" * 300, "b" * 40])
    assert describe(source, survey(source))[3] == f"classes   2: {'a' * 39}… 1, {'b' * 40} 1"
    assert listed(source.classes) == f"{'a' * 39}…, {'b' * 40}"


def test_a_class_without_images_is_named() -> None:
    found = survey(array_source(np.zeros((2, 4, 4), np.uint8), np.array([0, 2]), ["a", "b", "c"]))
    assert "1 class without an image: b" in warnings(found)
