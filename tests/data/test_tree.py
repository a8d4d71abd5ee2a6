import pytest

from ddpm.data.source import Source
from ddpm.data.tree import tree_source
from refusal import refuses


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
