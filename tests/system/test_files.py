import errno
import os
from pathlib import Path

import pytest

from ddpm.system.errors import InputError
from ddpm.system.files import (
    clear_drafts,
    disk_errors,
    drafted,
    read_json,
    sync_folder,
    write_file,
    write_json,
    write_synced,
)
from refusal import refuses


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_file(path, b"old")
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_made(tmp_path: Path) -> None:
    write_file(tmp_path / "not" / "there" / "a.bin", b"new")
    assert (tmp_path / "not" / "there" / "a.bin").read_bytes() == b"new"


def test_several_may_write_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with drafted(path) as one, drafted(path) as other:
        assert one != other
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_draft_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with pytest.raises(FileNotFoundError), drafted(path) as draft:
        draft.write_bytes((tmp_path / "nothing").read_bytes())
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_write_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    write_file(tmp_path / "a.bin", b"whole")
    (tmp_path / ".a.bin.0123.part").write_bytes(b"half")
    clear_drafts(tmp_path)
    clear_drafts(tmp_path / "not there")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "folder"]


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": ["é"]})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": ["é"]}
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_json_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert read_json(path) is None
    path.write_text('{"a": ')
    assert read_json(path) is None


def test_the_old_file_stays_until_the_new_one_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    write_file(path, b"old")
    synced: list[bytes] = []

    def fsync(handle: int) -> None:
        synced.append(path.read_bytes())

    monkeypatch.setattr(os, "fsync", fsync)
    write_file(path, b"new")
    assert synced == [b"old", b"new"]  # the file's own sync comes before the rename, the folder's after


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    write_file(path, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with refuses("unwritable"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]  # what was begun takes no room on a full disk


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "no space left"),
        (errno.EACCES, "Permission denied"),
        (errno.EPERM, "not permitted"),
        (errno.EROFS, "Read-only"),
        (errno.ENOTDIR, "a file"),
        (errno.EEXIST, "a file"),
    ],
)
def test_what_a_user_can_mend_is_one_line(number: int, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as caught, disk_errors(tmp_path / "not" / "there"):
        raise OSError(number, os.strerror(number))
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENOTDIR])
def test_how_to_mend_it_may_be_something_else(number: int, tmp_path: Path) -> None:
    advice = "set DDPM_CACHE"
    with pytest.raises(InputError, match=r"write.*[;:] set DDPM_CACHE$"), disk_errors(tmp_path, advice):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("unmade", ["not/there", "not"])
def test_a_folder_that_cannot_be_made(unmade: str, tmp_path: Path) -> None:
    """Below /proc there is nothing that could be written, and it says no such file."""
    path = tmp_path / "not" / "there"
    with refuses("unwritable"), disk_errors(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(tmp_path / unmade))
    with pytest.raises(FileNotFoundError), disk_errors(path):  # of a file that another command has moved away
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.with_name(".there.part")))


def test_what_a_user_cannot_mend_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output error") as caught, disk_errors(tmp_path):
        raise OSError(errno.EIO, "Input/output error")
    assert not isinstance(caught.value, InputError)


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with refuses("unwritable"):
        write_file(tmp_path / "file" / "a.bin", b"")


def test_syncing_keeps_the_content(tmp_path: Path) -> None:
    write_synced(tmp_path / "a", b"x" * 100_000)
    sync_folder(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"x" * 100_000
