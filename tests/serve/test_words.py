"""Messages without paths of this machine."""

from pathlib import Path

from cases import cases
from ddpm.engine.run import LoadedRun
from ddpm.serve.catalog import Catalog
from ddpm.serve.words import Words, without_paths


def test_a_run_is_called_by_its_name(catalog: Catalog, shapes: LoadedRun, tmp_path: Path) -> None:
    words = Words(catalog, tmp_path / "studio")
    said = words.plain(f"{shapes.source}/config.json differs from {tmp_path}/studio/given/x.png and {shapes.source}")
    assert said == "shapes/config.json differs from the server/given/x.png and shapes"


@cases(
    ("message", "plain"),
    [
        ("cannot read /home/me/runs/a.json (no)", "cannot read a.json (no)"),
        ("'/tmp/x' and \"/tmp/é-1/y.zip\"", "'x' and \"y.zip\""),
        ("use 1/2 or a/b, at most 16 / s", "use 1/2 or a/b, at most 16 / s"),
        ('File "/usr/lib/python3/x.py", line 3', 'File "x.py", line 3'),
    ],
)
def test_only_the_last_part_of_a_path_remains(message: str, plain: str) -> None:
    assert without_paths(message) == plain
