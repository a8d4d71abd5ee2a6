import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddpm.system.errors import InputError
from ddpm.system.files import (
    clear_drafts,
    disk_errors,
    drafted,
    read_file,
    read_given,
    read_json,
    sync_folder,
    whole_lines,
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
        (errno.EIO, "check the disk"),
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
    with pytest.raises(OSError, match="Bad file descriptor") as caught, disk_errors(tmp_path):
        raise OSError(errno.EBADF, "Bad file descriptor")
    assert not isinstance(caught.value, InputError)


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with refuses("unwritable"):
        write_file(tmp_path / "file" / "a.bin", b"")


def test_syncing_keeps_the_content(tmp_path: Path) -> None:
    write_synced(tmp_path / "a", b"x" * 100_000)
    sync_folder(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"x" * 100_000


def instead_of_a_file(path: Path) -> Iterator[None]:
    """A folder, a pipe, a device without end, links that lead nowhere or to themselves, and a file of 8 GB."""
    for make in (
        path.mkdir,
        lambda: os.mkfifo(path),
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to("nowhere"),
        lambda: path.symlink_to(path.name),
        lambda: path.write_bytes(b"") or os.truncate(path, 8 << 30),
    ):
        make()
        yield
        path.rmdir() if path.is_dir() else path.unlink()


def test_nothing_else_than_a_file_is_read(tmp_path: Path) -> None:
    """Without waiting, and without reading it."""
    path = tmp_path / "a"
    for _ in instead_of_a_file(path):
        assert read_json(path) is None
        for read in (read_file, read_given):
            with pytest.raises(OSError, match=re.escape(str(path))):
                read(path)
    path.write_bytes(b"[" * 1000 + b"]" * 1000)
    assert len(read_file(path, 2000)) == 2000
    with pytest.raises(OSError, match="larger"):
        read_file(path, 1999)
    path.write_bytes(b"[" * 100_000)
    assert read_json(path) is None


def test_what_a_shell_passes_on() -> None:
    """The output of a command is a pipe."""
    out, into = os.pipe()
    os.write(into, b"0.1, 0.2")
    os.close(into)
    assert read_given(Path(f"/dev/fd/{out}")) == b"0.1, 0.2"
    os.close(out)


def test_only_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one\n" + b"x" * (3 << 20) + b"\ntwo\nthr")
    assert list(whole_lines(path)) == [b"one\n", b"two\n"]


def test_an_error_is_one_line_whatever_it_quotes() -> None:
    assert str(InputError("invalid", "a\nb\x1b[31m\ud800 é")) == "a\\nb\\x1b[31m\\ud800 é"
    long = str(InputError("invalid", "begin" + "x" * 10**6 + "; the fix"))
    assert len(long) < 2000
    assert long.startswith("begin")
    assert long.endswith("; the fix")
