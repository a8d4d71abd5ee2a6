import json
from pathlib import Path

import pytest

from ddpm.build import build_model
from ddpm.report.reading import read
from ddpm.system.errors import InputError


def test_a_finished_run(run: Path, weights: str) -> None:
    found = read(run)
    assert found.name == "run"
    assert found.finished
    assert found.seen == 192
    assert found.weights == weights
    assert found.evaluations == {}
    assert list(found.previews) == sorted(found.previews)
    assert found.previews[-1][0] == 192
    assert found.parameters == sum(p.numel() for p in build_model(found.config).parameters())


def test_time_is_the_sum_over_the_lines_of_the_log(run: Path) -> None:
    lines = [
        {"kind": "train", "step": 1, "images": 100, "images_per_s": 50.0},
        {"kind": "start", "step": 1, "images": 100, "time": 0},
        {"kind": "train", "step": 2, "images": 400, "images_per_s": 100.0},
        {"kind": "train", "step": 3, "images": 500, "images_per_s": None},
    ]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read(run).seconds == 100 / 50 + 300 / 100


def test_half_a_log_is_read_as_far_as_it_is_whole(run: Path) -> None:
    whole = (run / "log.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    upto = 3
    broken = [b"\x00\xff\n", b"[1]\n", b'"train"\n', b'{"kind": "train"}\n', lines[upto][:-2]]
    (run / "log.jsonl").write_bytes(b"".join([*lines[:upto], *broken]))
    found = read(run)
    assert [event.kind for event in found.events] == [json.loads(line)["kind"] for line in lines[:upto]]
    assert not found.finished


def test_values_that_are_no_numbers_are_left_out_of_a_curve(run: Path) -> None:
    text = "".join(
        f'{{"kind": "train", "step": {n}, "images": {n}, "loss": {loss}}}\n'
        for n, loss in enumerate(["0.5", "NaN", "null", "Infinity", "0.25"])
    )
    (run / "log.jsonl").write_text(text + '{"kind": "train", "step": 9, "images": 9}\n')
    assert read(run).curve("train", "loss") == ([0, 4], [0.5, 0.25])


def test_a_run_that_has_only_begun(run: Path) -> None:
    for path in (run / "log.jsonl", run / "model.safetensors", *(run / "previews").iterdir()):
        path.unlink()
    found = read(run)
    assert (found.events, found.previews, found.seen, found.seconds, found.weights) == ((), (), 0, 0, None)


def test_previews_that_are_cut_short_are_left_out(run: Path) -> None:
    before = read(run).previews
    last = before[-1][1]
    last.write_bytes(last.read_bytes()[:-30])
    (run / "previews" / "images-000000999.png").write_bytes(b"")
    assert read(run).previews == before[:-1]


@pytest.mark.parametrize("made", [False, True])
def test_what_is_no_run(made: bool, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    if made:
        folder.mkdir()
    with pytest.raises(InputError, match="a run folder"):
        read(folder)
