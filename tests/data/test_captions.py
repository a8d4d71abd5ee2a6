import csv
import json
import unicodedata
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import cases
from ddpm.data import captions
from ddpm.data.captions import match_captions, one_string
from ddpm.system.errors import Code
from refusal import refuses

Found = tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]


def match(images: list[str], files: dict[str, bytes | str]) -> Found:
    contents = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return match_captions(images, sorted(files), contents.__getitem__)


def test_text_beside_the_image() -> None:
    texts, orphans, ignored = match(["a.png", "sub/b.jpg"], {"a.txt": " a cat\n", "sub/b.txt": "b", "c.txt": "c"})
    assert texts == {"a.png": "a cat", "sub/b.jpg": "b"}
    assert orphans == ("c.txt",)
    assert ignored == ()


@cases("column", ["text", "caption"])
def test_csv(column: str) -> None:
    table = f'\ufefffile_name, {column},more\na.png,"a cat,\nsitting",1\nsub\\b.png,dog,2\n./c.png,,3\nd.png,none,4\n'
    texts, orphans, _ = match(["a.png", "sub/b.png", "c.png"], {"metadata.csv": table})
    assert texts == {"a.png": "a cat, sitting", "sub/b.png": "dog"}
    assert orphans == ("metadata.csv: d.png",)


def test_jsonl_in_its_own_folder() -> None:
    rows = [{"file_name": "a.png", "text": "line\u2028separator"}, {"file_name": "../b.png", "text": "up"}]
    table = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n"
    texts, orphans, _ = match(["sub/a.png", "b.png"], {"sub/metadata.jsonl": table})
    assert texts == {"sub/a.png": "line separator", "b.png": "up"}
    assert orphans == ()


def test_several_captions_are_lines_each_of_them_once() -> None:
    """However they are written: as rows that repeat a name, in both tables, as a list, as the lines of a .txt."""
    rows = "file_name,text\na.png,one\nb.png,other\na.png,two\na.png, one\n"
    listed = "\n".join(json.dumps({"file_name": "a.png", "text": text}) for text in (["one", "two", None, ""], "one"))
    for files in (
        {"metadata.csv": rows},
        {"metadata.jsonl": listed},
        {"metadata.csv": "file_name,text\na.png,one\n", "metadata.jsonl": '{"file_name": "a.png", "text": "two"}'},
        {"a.txt": "\n one\r\n\r\ntwo\rone", "metadata.csv": "file_name,text\na.png,far\n"},
    ):
        assert match(["a.png", "b.png"], files)[0]["a.png"] == "one\ntwo"


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)
ROWS = st.lists(st.tuples(st.sampled_from(["a.png", "b c.png", "é.png"]), TEXT), max_size=9)


@given(ROWS, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_both_kinds_of_tables_of_any_text_hold_the_same(rows: list[tuple[str, str]], end: str, mark: bool) -> None:
    """With each kind of line end, and with or without a byte order mark."""
    images, table = ["a.png", "b c.png", "é.png"], StringIO(newline="")
    writer = csv.writer(table, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("id", "file_name", "text"), *((i, *row) for i, row in enumerate(rows))])
    lines = (json.dumps({"file_name": name, "text": text}, ensure_ascii=mark) for name, text in rows)
    files = {"metadata.csv": table.getvalue(), "metadata.jsonl": end.join(lines)}
    expected = {name: one_string(text for other, text in rows if other == name) for name in images}
    for name, content in files.items():
        texts, orphans, _ = match(images, {name: content.encode("utf-8-sig" if mark else "utf-8")})
        assert texts == {name: text for name, text in expected.items() if text}
        assert orphans == ()


def test_holes_are_no_captions_and_names_of_no_image_are_counted() -> None:
    table = (
        "\n\nfile_name,text,more\na.png\n\n,,\n,alone\n/a.png,x\n../a.png,x\nC:\\a.png,x\nhttp://a.png,x\nb.png,b,,,\n"
    )
    texts, orphans, _ = match(["a.png", "b.png"], {"metadata.csv": table})
    assert texts == {"b.png": "b"}
    names = ["line 7", "/a.png", "../a.png", "C:\\a.png", "http://a.png"]
    assert orphans == tuple(f"metadata.csv: {name}" for name in names)
    lines = '{"file_name": "a.png"}\n{"file_name": null}\n{"file_name": "b.png", "text": 7}\n'
    assert match(["a.png", "b.png"], {"metadata.jsonl": lines})[:2] == ({"b.png": "7"}, ())
    for empty in ("", "\n", "file_name,text"):
        assert match(["a.png"], {"metadata.csv": empty}) == ({}, (), ())


def test_half_a_character_is_none() -> None:
    lines = r'{"file_name": "a.png", "text": "a\ud83d cat \ud83d\udc31\u0000"}'
    assert match(["a.png"], {"metadata.jsonl": lines})[0] == {"a.png": "a cat 🐱"}


def test_the_nearer_caption_wins() -> None:
    texts, _, _ = match(["a.png"], {"metadata.csv": "file_name,text\na.png,far\n", "a.txt": "near"})
    assert texts == {"a.png": "near"}


def test_an_empty_text_beside_the_image_is_none() -> None:
    assert match(["a.png"], {"metadata.csv": "file_name,text\na.png,far\n", "a.txt": " \n"})[0] == {"a.png": "far"}


def test_a_text_is_of_all_images_with_its_name() -> None:
    assert match(["a.png", "a.jpg"], {"a.txt": "one\ntwo"})[0] == {"a.png": "one\ntwo", "a.jpg": "one\ntwo"}


def test_the_first_column_that_has_one() -> None:
    table = "file_name,text,caption\na.png, ,red\nb.png,blue,green\n"
    lines = '{"file_name": "a.png", "text": null, "caption": "red"}\n{"file_name": "b.png", "text": "blue"}\n'
    for files in ({"metadata.csv": table}, {"metadata.jsonl": lines}):
        assert match(["a.png", "b.png"], files)[0] == {"a.png": "red", "b.png": "blue"}


def test_accents_match_however_they_are_written() -> None:
    decomposed, composed = (unicodedata.normalize(form, "é.png") for form in ("NFD", "NFC"))
    texts, orphans, _ = match([decomposed], {"metadata.csv": f"file_name,text\n{composed},yes\n"})
    assert texts == {decomposed: "yes"}
    assert orphans == ()


def test_what_is_no_caption_is_ignored() -> None:
    assert match(["a.png"], {"LICENSE": "", "notes.md": ""}) == ({}, (), ("LICENSE", "notes.md"))


HEAD = "file_name,text\na.png,x\n"


@cases(
    ("name", "content", "code", "named"),
    [
        ("metadata.csv", "filename,prompt\na.png,x\n", "invalid", "filename, prompt; name them file_name and text"),
        ("metadata.csv", "file_name;text\na.png;x\n", "invalid", "file_name;text"),
        ("metadata.csv", HEAD + "a.png," + "x" * 200_000, "unreadable", "line 3"),
        ("metadata.csv", HEAD + 'a.png,"x\nb.png,y\nc.png,z\n', "unreadable", "line 3"),
        ("metadata.csv", HEAD + '\n"', "unreadable", "line 4"),
        ("metadata.csv", HEAD + "a.png,red heart, large\n", "invalid", "line 3 has 3 cells"),
        ("metadata.csv", (HEAD + "a.png,café\n").encode("latin-1"), "unreadable", "0xe9 at offset 32, in line 3"),
        ("metadata.csv", (HEAD + "a.png,café\n").encode("latin-1"), "unreadable", "iconv -f latin1 -t utf-8"),
        ("metadata.csv", HEAD.encode("utf-16"), "unreadable", "iconv -f utf-16 -t utf-8"),
        ("metadata.csv", HEAD.encode("utf-16-le"), "unreadable", "iconv -f utf-16 -t utf-8"),
        ("metadata.csv", HEAD + "a.png,x\0\n", "unreadable", "0x00 at offset 30, in line 3"),
        ("a.txt", "x\r\ry\0", "unreadable", "a.txt is not UTF-8 text: byte 0x00 at offset 4, in line 3"),
        ("metadata.jsonl", '{"file_name": "a.png", "text": "x"}\nnonsense\n', "unreadable", "line 2"),
        ("metadata.jsonl", "[1]\n", "unreadable", "line 1"),
        ("metadata.jsonl", "[" * 100_000, "unreadable", "line 1"),
        ("metadata.jsonl", '{"file_name": "a.png", "prompt": "x"}', "invalid", "file_name, prompt"),
        ("metadata.jsonl", '{"text": "x"}', "invalid", "the columns text;"),
        ("metadata.jsonl", '\n{"file_name": "a.png", "text": ["x", {}]}', "invalid", "line 2: text"),
    ],
)
def test_unusable_tables_are_refused(name: str, content: bytes | str, code: Code, named: str) -> None:
    with refuses(code, name, named):
        match(["a.png"], {name: content})


def test_a_line_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a table or a text; and a table may be long if its lines are not."""
    monkeypatch.setattr(captions, "LONGEST_LINE", 100)
    monkeypatch.setattr(captions, "PART", 7)
    text = "ä" * 101
    for name, content in {
        "0.txt": text,
        "metadata.csv": f'file_name,text\n0.png,"{text}',
        "metadata.jsonl": f'{{"file_name": "0.png", "text": "{text}"}}',
    }.items():
        with refuses("unreadable", name):
            captions.match_captions(["0.png"], [name], lambda _, content=content: content.encode())
    rows = "file_name,text\n" + "0.png,ä\n" * 100
    assert captions.match_captions(["0.png"], ["metadata.csv"], lambda _: rows.encode())[0] == {"0.png": "ä"}
    with refuses("unreadable", "offset 24, in line 2"):
        captions.match_captions(["0.png"], ["metadata.csv"], lambda _: "file_name,text\n0.png,äa".encode() + b"\xe9")
