import pytest

from ddpm.data.order import split
from ddpm.data.source import Source
from ddpm.data.tree import Listing, tree_source
from refusal import refuses

TREE = ("train/cat/1.png", "train/dog/2.png", "valid/dog/3.png", "test/cat/4.png", "test/cat/4.txt")


def listed(*names: str, wanted: str | None = None) -> Source:
    def read(name: str) -> bytes:
        return b"words"

    return tree_source(Listing(dict.fromkeys(names, (1,))), read, "here", wanted)


@pytest.mark.parametrize("above", ["", "set/images/"])
def test_train_is_trained_on_and_val_held_out(above: str) -> None:
    source = listed(*(above + name for name in TREE))
    assert [item.name.removeprefix(above) for item in source.items] == list(TREE[:3])
    assert [item.label for item in source.items] == ["cat", "dog", "dog"]
    assert (source.validation, source.orphans) == (1, ())
    kept, held = split(len(source), 0, source.validation)
    assert (list(kept), held.tolist()) == ([0, 1], [2])
    (said,) = source.notes
    assert all(word in said for word in ("2 images of train", "1 of valid", "test left out", "--split"))
    assert source.without(above + TREE[2]).validation == 0


@pytest.mark.parametrize(
    ("wanted", "images", "classes"),
    [
        ("test", 1, ()),
        ("val", 1, ()),
        ("valid", 1, ()),
        ("all", 4, ("cat", "dog")),
    ],
)
def test_another_split_is_chosen_by_name(wanted: str, images: int, classes: tuple[str, ...]) -> None:
    source = listed(*TREE, wanted=wanted)
    assert (len(source), source.validation, source.classes) == (images, 0, classes)
    assert len({listed(*TREE, wanted=one).key for one in ("train", "test", "all")}) == 3


def test_classes_of_these_names_are_classes() -> None:
    for names in (["train/1.png", "car/2.png"], ["test/1.png", "val/2.png"], ["train/1.png", "test/2.png", "3.png"]):
        assert (listed(*names).notes, len(listed(*names))) == ((), len(names))
    assert listed("train/1.png", "car/2.png").classes == ("car", "train")


def test_validation_images_of_other_classes_are_left_out() -> None:
    source = listed("train/a/1.png", "train/b/2.png", "val/3.png")
    assert (len(source), source.validation, source.classes) == (2, 0, ("a", "b"))
    assert "val left out" in source.notes[0]


def test_a_single_split_needs_no_choice() -> None:
    assert len(listed("train/a/1.png", "train/b/2.png", wanted="train")) == 2


def test_an_unknown_split_is_refused() -> None:
    with refuses("unknown", "--split tets", "'test'"):
        listed(*TREE, wanted="tets")
    with refuses("unknown", "--split test"):
        listed("cat/1.png", "dog/2.png", wanted="test")
