import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ddpm.data.archive import open_zip
from ddpm.images.decode import BadImage
from refusal import refuses

Make = Callable[..., bytes]


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


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_of_rarer_compression(tmp_path: Path, png: Make, compression: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("1.png", png(1))
    data = bytearray(path.read_bytes())
    data[60:80] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(BadImage, match="damaged inside the archive"):
        open_zip(path).read("1.png")


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"1.png": b""})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(BadImage, match=r"2\.1 GB"):
        open_zip(path).read("1.png")


def test_names_with_backslashes(tmp_path: Path, png: Make) -> None:
    source = open_zip(zipped(tmp_path / "a.zip", {"cat\\1.png": png(1), "dog\\": b"", "dog\\2.png": png(2)}))
    assert [(item.name, item.label) for item in source.items] == [("cat/1.png", "cat"), ("dog/2.png", "dog")]
    assert source.read("dog/2.png") == png(2)


def test_names_in_utf_8_that_do_not_say_so(tmp_path: Path, png: Make) -> None:
    path = zipped(
        tmp_path / "a.zip", {"caf??/1.png": png(1), "dog/2.png": png(2), "cow/": b"", "__MACOSX/x/._1.png": b"?"}
    )
    path.write_bytes(path.read_bytes().replace(b"caf??", "caf\u00e9".encode()))
    source = open_zip(path)
    assert source.classes == ("caf\u00e9", "dog")
    assert source.read("caf\u00e9/1.png") == png(1)
    assert len(source.notes) == 2
    assert "cow" in source.notes[0]
    assert "__MACOSX" in source.notes[1]


def test_names_that_say_they_are_utf_8_and_are_not(tmp_path: Path, png: Make) -> None:
    path = zipped(tmp_path / "a.zip", {"\u00e9.png": png(1)})
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xe9\xe9"))
    with refuses("unreadable", "a.zip"):
        open_zip(path)
