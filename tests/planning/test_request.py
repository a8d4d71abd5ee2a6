"""What a user asks for."""

from pathlib import Path

import pytest

from cases import cases
from ddpm.planning.request import default_out


@cases(
    ("data", "name"),
    {
        "digits": "digits",
        "photos": "photos",
        "/data/photos/": "photos",
        "my.photos": "my.photos",
        "photos.zip": "photos",
        "photos.NPZ": "photos",
        "a/photos.v2.tar": "photos.v2",
        "photos.parquet": "photos",
        "photos/train-{000..099}.tar": "photos",
        "s3://bucket/photos/*.tar": "photos",
        "s3://bucket/*.parquet": "bucket",
        "https://example.org/photos.tar?key=a/b": "photos",
        "*.tar": "data",
        ".": "data",
        "..": "data",
        "../photos": "photos",
    }.items(),
)
def test_a_run_is_named_after_its_data(data: str, name: str) -> None:
    assert default_out(data) == Path("runs", name)


def test_a_folder_may_be_named_like_a_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos {old}").mkdir()
    assert default_out("photos {old}") == Path("runs", "photos {old}")
