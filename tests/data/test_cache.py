import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ddpm.data.arrays import array_source
from ddpm.data.cache import prepare
from ddpm.data.folder import open_folder
from ddpm.data.order import split
from ddpm.data.source import Source
from ddpm.data.survey import recall
from ddpm.images.decode import decode
from ddpm.images.geometry import Geometry
from ddpm.system.cache import source_folder
from ddpm.system.errors import InputError
from refusal import refuses

Make = Callable[..., bytes]
Tree = Callable[..., Path]
whole = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def folder(tree: Tree, png: Make) -> Path:
    files = {f"{name}/{i}.png": png(i, mode="RGB") for name in ("cat", "dog") for i in range(3)}
    return tree(files | {"cat/0.txt": "a cat"})


@pytest.fixture
def arrays() -> Source:
    return array_source(whole, np.arange(100) % 3, ["a", "b", "c"])


def test_what_is_stored(folder: Path) -> None:
    dataset = prepare(open_folder(folder), Geometry((2, 2), "RGB"))
    assert (dataset.shape, len(dataset), dataset.mode) == ((2, 2, 3), 6, "RGB")
    assert dataset.names == ("cat/0.png", "cat/1.png", "cat/2.png", "dog/0.png", "dog/1.png", "dog/2.png")
    assert dataset.classes == ("cat", "dog")
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.captions == ("a cat", "", "", "", "", "")
    assert len(dataset.fingerprint) == 64


def test_arrays_are_stored_as_they_are(arrays: Source) -> None:
    dataset = prepare(arrays, Geometry())
    assert isinstance(dataset.pixels, np.memmap)
    assert np.array_equal(dataset.images, whole)
    assert dataset.captions is None


def test_the_second_time_nothing_is_decoded(arrays: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(arrays, Geometry())
    monkeypatch.setattr("ddpm.data.cache.sweep", None)
    again = prepare(arrays, Geometry())
    assert again.fingerprint == first.fingerprint
    assert np.array_equal(again.images, first.images)


def test_to_name_what_all_images_have_changes_nothing(arrays: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(arrays, Geometry())
    monkeypatch.setattr("ddpm.data.cache.sweep", None)
    for geometry in (Geometry((8, 8)), Geometry(None, "RGB"), Geometry((8, 8), "RGB")):
        assert np.array_equal(prepare(arrays, geometry).images, whole)


def test_the_same_pass_takes_the_survey(arrays: Source) -> None:
    prepare(arrays, Geometry())
    found = recall(arrays)
    assert found is not None
    assert (found.images, found.modes) == (100, {"RGB": 100})


def test_content_and_geometry_have_their_own_places_and_prints(tree: Tree, png: Make) -> None:
    def prints(content: bytes, geometry: Geometry) -> tuple[str, str]:
        source = open_folder(tree({"a.png": content, "b.png": png(9, (4, 8))}))
        dataset = prepare(source, geometry)
        return dataset.fingerprint, str(dataset.pixels.filename)  # type: ignore[attr-defined]

    kinds = [
        prints(content, geometry)
        for content in (png(1), png(2))
        for geometry in (Geometry((4, 4)), Geometry((4, 4), "L"), Geometry((4, 4), fit="pad"), Geometry((4, 8)))
    ]
    assert len({place for _, place in kinds}) == 8
    assert len({fingerprint for fingerprint, _ in kinds[:4]}) == 3  # crop and pad of one colour are the same
    assert not {fingerprint for fingerprint, _ in kinds[:4]} & {fingerprint for fingerprint, _ in kinds[4:]}


def test_labels_and_captions_are_part_of_the_fingerprint(arrays: Source) -> None:
    other = array_source(whole, np.arange(100) % 2, ["a", "b", "c"])
    captioned = array_source(whole, np.arange(100) % 3, ["a", "b", "c"], [""] * 99 + ["last"])
    assert len({prepare(source, Geometry()).fingerprint for source in (arrays, other, captioned)}) == 3


def test_the_fingerprint_without_captions_never_changes() -> None:
    """Runs that were trained on these images would refuse to resume."""
    assert prepare(array_source(whole[:2]), Geometry()).fingerprint.startswith("77d001d5d310fc5a")


def test_bad_files_stop_it_unless_skipped(tree: Tree, png: Make) -> None:
    source = open_folder(tree({"a/1.png": png(1), "a/2.png": "text", "b/3.png": png(3)}))
    with refuses("unreadable", "--skip-bad"):
        prepare(source, Geometry())
    for _ in range(2):
        dataset = prepare(source, Geometry(), skip_bad=True)
        assert dataset.names == ("a/1.png", "b/3.png")
        assert dataset.labels is not None
        assert dataset.labels.tolist() == [0, 1]
        assert np.array_equal(dataset.images[1], decode(png(3))[0])
    with refuses("unreadable", "--skip-bad"):
        prepare(source, Geometry())


def test_held_out_images_are_those_of_val_that_can_be_used(tree: Tree, png: Make) -> None:
    files = {f"{part}/{kind}/{i}.png": png(i) for part in ("train", "val") for kind in "ab" for i in range(2)}
    source = open_folder(tree(files | {"train/a/1.png": "text", "val/b/0.png": "text"}))
    for _ in range(2):  # the second time from the cache
        dataset = prepare(source, Geometry(), skip_bad=True)
        kept, held = split(len(dataset), 0, dataset.validation)
        assert tuple(dataset.subset(kept).names) == ("train/a/0.png", "train/b/0.png", "train/b/1.png")
        assert dataset.subset(held).names == ("val/a/0.png", "val/a/1.png", "val/b/1.png")
        assert dataset.subset(kept).validation == 0
    other = open_folder(tree(files), "all")
    assert prepare(other, Geometry()).fingerprint != prepare(open_folder(tree(files)), Geometry()).fingerprint


def test_classes_in_another_order_have_other_numbers(tree: Tree, png: Make) -> None:
    source = open_folder(tree({"2/a.png": png(1), "10/a.png": png(2)}))
    first, second = (prepare(one, Geometry()) for one in (source, source.with_classes(("10", "2"))))
    assert first.labels is not None
    assert second.labels is not None
    assert (first.labels.tolist(), second.labels.tolist()) == ([1, 0], [0, 1])
    assert first.fingerprint != second.fingerprint


def test_mixed_images_are_refused_the_second_time_at_once(
    tree: Tree, png: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_folder(tree({"a.png": png(mode="L"), "b.png": png(mode="RGBA"), "c.png": png(size=(8, 8), mode="L")}))
    with refuses("invalid", "--mode"):
        prepare(source, Geometry((4, 4)))
    monkeypatch.setattr("ddpm.data.cache.sweep", None)
    with refuses("invalid"):
        prepare(source, Geometry(None, "L"))


def left_over(source: Source) -> list[str]:
    return sorted(path.name for path in source_folder(source.key).glob("*") if path.suffix != ".json")


def test_an_interrupted_build_leaves_nothing(arrays: Source) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(arrays, Geometry(), progress=interrupt)
    assert left_over(arrays) == []
    assert np.array_equal(prepare(arrays, Geometry()).images, whole)


def test_a_killed_build_is_not_taken_for_whole_and_swept_out_later(folder: Path) -> None:
    code = (
        "import os\nfrom pathlib import Path\n"
        "from ddpm.data.cache import prepare\nfrom ddpm.data.folder import open_folder\n"
        "from ddpm.images.geometry import Geometry\n"
        f"prepare(open_folder(Path({str(folder)!r})), Geometry(), progress=lambda *_: os._exit(9))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    source = open_folder(folder)
    (draft,) = left_over(source)
    assert draft.endswith(".tmp")
    assert len(prepare(source, Geometry())) == 6
    assert draft in left_over(source)  # another process may be at it
    for path in source_folder(source.key).glob("*.tmp/*"):
        os.utime(path, (0, 0))
        os.utime(path.parent, (0, 0))
    prepare(source, Geometry((2, 2)))
    assert left_over(source) == ["2x2-RGB-crop", "4x4-RGB-crop"]


def test_two_builds_at_once_do_not_meet(arrays: Source) -> None:
    inner = []

    def another(done: int, total: int) -> None:
        if not inner:
            inner.append(None)
            inner[0] = prepare(arrays, Geometry())

    outer = prepare(arrays, Geometry(), progress=another)
    assert np.array_equal(outer.images, whole)
    assert np.array_equal(inner[0].images, whole)  # type: ignore[attr-defined]
    assert left_over(arrays) == ["8x8-RGB-crop"]


def test_many_builds_at_once(arrays: Source) -> None:
    results: list[str] = []
    threads = [
        threading.Thread(target=lambda: results.append(prepare(arrays, Geometry()).fingerprint)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert len(set(results)) == 1


def test_a_full_disk_is_seen_before(arrays: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddpm.system.cache.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with refuses("unwritable"):
        prepare(arrays, Geometry())
    assert left_over(arrays) == []


def test_images_that_exceed_the_disk_are_streamed_whatever_the_first_file_is(
    tree: Tree, png: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header of the first usable one says how large they are."""
    source = open_folder(tree({"0.png": "text", "1.png": "", **{f"{i}.png": png(i) for i in range(2, 6)}}))
    size = 6 * 4 * 4 * 3
    for room, streamed in ((size - 1, True), (size, False)):
        monkeypatch.setattr("ddpm.data.cache.cache_room", lambda _, room=room: room)
        assert prepare(source, Geometry(), skip_bad=True).streamed == streamed
        assert len(left_over(source)) == (not streamed)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="macOS has no device that is always full; Linux has")
def test_a_disk_that_fills_up_meanwhile(arrays: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddpm.data.cache.PIXELS", "/dev/full")
    with refuses("unwritable"):
        prepare(arrays, Geometry())
    assert left_over(arrays) == []


@pytest.mark.parametrize(
    "error",
    [OSError(30, "Read-only file system"), PermissionError(13, "Permission denied")],
    ids=["read-only", "denied"],
)
def test_a_folder_that_cannot_be_written(arrays: Source, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match=rf"cannot write .*: {error.strerror}; set DDPM_CACHE"):
        prepare(arrays, Geometry())


def test_a_cache_that_is_a_file(arrays: Source, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with refuses("unwritable"):
        prepare(arrays, Geometry(), cache_dir=tmp_path / "file")


@pytest.mark.parametrize("surveyed", [True, False])
@pytest.mark.parametrize("name", ["images.u8", "record.json"])
def test_files_that_were_cut_short_or_deleted_are_written_again(arrays: Source, name: str, surveyed: bool) -> None:
    """With or without the survey, whose format may have changed as well."""
    prepare(arrays, Geometry())
    path = source_folder(arrays.key) / "8x8-RGB-crop" / name
    for harm in (lambda: path.write_bytes(path.read_bytes()[:10]), lambda: path.write_text("{}"), path.unlink):
        harm()
        if not surveyed:
            next(source_folder(arrays.key).glob("survey*")).unlink()
        assert np.array_equal(prepare(arrays, Geometry()).images, whole)
