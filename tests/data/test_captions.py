import json
import unicodedata

import pytest

from ddpm.data.captions import match_captions
from ddpm.system.errors import InputError


def match(images: list[str], files: dict[str, bytes | str]) -> tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]:
    contents = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return match_captions(images, sorted(files), contents.__getitem__)


def test_text_beside_the_image() -> None:
    texts, orphans, ignored = match(["a.png", "sub/b.jpg"], {"a.txt": " a cat\n", "sub/b.txt": "b", "c.txt": "c"})
    assert texts == {"a.png": "a cat", "sub/b.jpg": "b"}
    assert orphans == ("c.txt",)
    assert ignored == ()


@pytest.mark.parametrize("column", ["text", "caption"])
def test_csv(column: str) -> None:
    table = f'\ufefffile_name,{column},more\na.png,"a cat,\nsitting",1\nsub\\b.png,dog,2\n./c.png,,3\nd.png,none,4\n'
    texts, orphans, _ = match(["a.png", "sub/b.png", "c.png"], {"metadata.csv": table})
    assert texts == {"a.png": "a cat,\nsitting", "sub/b.png": "dog"}
    assert orphans == ("metadata.csv: d.png",)


def test_jsonl_in_its_own_folder() -> None:
    rows = [{"file_name": "a.png", "text": "line\u2028separator"}, {"file_name": "../b.png", "text": "up"}]
    table = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n"
    texts, orphans, _ = match(["sub/a.png", "b.png"], {"sub/metadata.jsonl": table})
    assert texts == {"sub/a.png": "line\u2028separator", "b.png": "up"}
    assert orphans == ()


def test_the_nearer_caption_wins() -> None:
    texts, _, _ = match(["a.png"], {"metadata.csv": "file_name,text\na.png,far\n", "a.txt": "near"})
    assert texts == {"a.png": "near"}


def test_accents_match_however_they_are_written() -> None:
    decomposed, composed = (unicodedata.normalize(form, "é.png") for form in ("NFD", "NFC"))
    texts, orphans, _ = match([decomposed], {"metadata.csv": f"file_name,text\n{composed},yes\n"})
    assert texts == {decomposed: "yes"}
    assert orphans == ()


def test_what_is_no_caption_is_ignored() -> None:
    assert match(["a.png"], {"LICENSE": "", "notes.md": ""}) == ({}, (), ("LICENSE", "notes.md"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "metadata.csv",
            "filename,prompt\na.png,x\n",
            "has the columns filename, prompt; name them file_name and text",
        ),
        ("metadata.csv", "file_name,text\na.png," + "x" * 200_000, "not a readable .csv"),
        ("metadata.csv", "file_name,text\na.png,caf\u00e9\n".encode("latin-1"), "not UTF-8"),
        ("metadata.jsonl", '{"file_name": "a.png", "text": "x"}\nnonsense\n', "line 2 is not a JSON object"),
        ("metadata.jsonl", "[1]\n", "line 1 is not a JSON object"),
    ],
)
def test_unusable_tables_say_how_to_mend_them(name: str, content: bytes | str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        match(["a.png"], {name: content})
