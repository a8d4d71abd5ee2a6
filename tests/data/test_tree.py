import pytest

from ddpm.data.source import Source
from ddpm.data.tree import Listing, tree_source
from refusal import refuses


def nothing(name: str) -> bytes:
    raise AssertionError(name)


def listed(*names: str, stamp: int = 0) -> Source:
    return tree_source(Listing(dict.fromkeys(names, (1, stamp))), nothing, "here")


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
        (["a/1.png", "a/y/2.png", "b/1.png"], ["a", "a", "b"]),
        (["e\u0301/1.png", "\u00e9/2.png", "a/3.png"], ["a", "\u00e9", "\u00e9"]),
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


def test_classes_that_are_numbers_are_in_their_order() -> None:
    assert listed("10/1.png", "2/1.png", "02/1.png", "x/1.png").classes == ("02", "2", "10", "x")
    source = listed("10/1.png", "2/1.png")
    other = source.with_classes(("10", "2"))
    assert (other.classes, other.items) == (("10", "2"), source.items)
    assert other.key != source.key
    assert source.with_classes(("a", "b")) is source


def test_folders_beside_the_classes_without_images_are_named() -> None:
    files = dict.fromkeys(("in/a/1.png", "in/b/2.png", "in/c/x.txt"), (1, 1))
    source = tree_source(Listing(files, folders={"in", "in/a", "in/b", "in/c", "in/d", "in/a/x"}), nothing, "here")
    assert source.classes == ("a", "b")
    assert source.notes == ("2 folders without images, not counted as classes: in/c, in/d",)


def test_the_key_follows_what_may_be_decoded() -> None:
    files = Listing({"a.png": (1,)})
    keys = {tree_source(files, nothing, "here", max_pixels=n).key for n in (10, 20)}
    assert len(keys) == 2
