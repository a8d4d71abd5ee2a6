"""Messages without paths of this machine."""

from pathlib import Path

import pytest

from cases import cases
from ddpm.engine.run import LoadedRun
from ddpm.serve.catalog import Catalog
from ddpm.serve.words import Words, without_paths


def test_a_run_is_called_by_its_name(catalog: Catalog, shapes: LoadedRun, tmp_path: Path) -> None:
    words = Words(catalog, tmp_path / "studio")
    said = words.plain(f"{shapes.source}/config.json differs from {tmp_path}/studio/given/x.png and {shapes.source}")
    assert said == "shapes/config.json differs from the server/given/x.png and shapes"


@pytest.mark.parametrize("name", ["my photos (1)", "plain", "été [2]", "a, b; c"])
def test_folders_with_spaces_and_brackets_are_called_by_their_names(
    catalog: Catalog, tmp_path: Path, name: str
) -> None:
    words = Words(catalog, tmp_path / name / "studio", [tmp_path / name / "data"])
    assert words.plain(f"cannot read {tmp_path}/{name}/data/a b/c.png") == "cannot read data/a b/c.png"
    assert words.plain(f"cannot write {tmp_path}/{name}/studio: full") == "cannot write the server: full"
    below_home = words.plain(f"{Path.home()}/{name}/x y.png is damaged")
    assert str(Path.home()) not in below_home
    assert below_home.endswith("y.png is damaged")


@cases(
    ("message", "plain"),
    [
        ("cannot read /home/me/runs/a.json (no)", "cannot read a.json (no)"),
        ("'/data/x' and \"/data/é-1/y.zip\"", "'x' and \"y.zip\""),
        ("cannot open:/etc/secret/x.png", "cannot open:x.png"),
        ("(see)/home/bob/x and file:///home/bob/y.png", "(see)x and file://y.png"),
        ("'/mnt/big disk/private/a.png' or ~/secret/place/x", "'a.png' or x"),
        ("not '<b>x</b>'", "not '<b>x</b>'"),
        ("use 1/2 or a/b, at most 16 / s", "use 1/2 or a/b, at most 16 / s"),
        ("/data/ and /data: full", "data/ and data: full"),
        ("'/srv/a(1)/b[2]/c.png'", "'c.png'"),
        ("see https://example.org/a/b, or ../a/b", "see https://example.org/a/b, or ../a/b"),
        ('File "/usr/lib/python3/x.py", line 3', 'File "x.py", line 3'),
    ],
)
def test_only_the_last_part_of_a_path_remains(message: str, plain: str) -> None:
    assert without_paths([message]) == [plain]
