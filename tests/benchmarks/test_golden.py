"""benchmarks/golden.py finds what has changed, and only that."""

import json
from pathlib import Path

import pytest


@pytest.fixture
def golden(monkeypatch: pytest.MonkeyPatch):
    import golden
    from golden_cases import lab

    monkeypatch.setitem(lab.TRAIN, "--images", "32")
    monkeypatch.setitem(lab.SETTINGS, "training.warmup", "16")
    return golden


@pytest.fixture
def recorded(golden, tmp_path: Path) -> Path:
    file = tmp_path / "record.json"
    assert golden.main(["record", str(file), "--only", "sample/seed"]) == 0
    return file


def test_the_same_code_agrees_with_its_record(golden, recorded: Path, capsys) -> None:
    assert not any(value.startswith("error") for value in json.loads(recorded.read_text()).values())
    assert golden.main(["compare", str(recorded), "--only", "sample/seed"]) == 0
    assert "nothing differs" in capsys.readouterr().out


def test_planted_differences(golden, tmp_path: Path, capsys) -> None:
    file, only = tmp_path / "record.json", ["--only", "math/schedule=cosine"]
    golden.main(["record", str(file), *only])
    record = json.loads(file.read_text())
    record["math/schedule=cosine:ticks"] = "0" * 16
    record["math/schedule=cosine:gone"] = record.pop("math/schedule=cosine:timestep")
    record["math/schedule=linear:timestep"] = "1" * 16  # not among those compared
    file.write_text(json.dumps(record))
    capsys.readouterr()
    assert golden.main(["compare", str(file), *only]) == 1
    found = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]]
    assert found == [
        ["missing", "math/schedule=cosine:gone"],
        ["differs", "math/schedule=cosine:ticks"],
        ["new", "math/schedule=cosine:timestep"],
    ]


def test_a_case_that_raises_is_recorded(golden, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(lab):
        raise ValueError("no such thing\nand more")

    cases = [golden.Case("broken", broken), golden.Case("whole", lambda lab: {"": "ab"})]
    monkeypatch.setattr(golden, "all_cases", lambda: cases)
    assert golden.measure("*") == {"broken": "error: ValueError: no such thing", "whole": "ab"}


def test_a_renamed_tensor_changes_one_of_two_hashes() -> None:
    import torch
    from golden_cases.digests import named_tensors

    weights = {"a": torch.arange(3.0), "b": torch.ones(2, 2)}
    before, renamed = named_tensors(weights), named_tensors({"c": weights["a"], "b": weights["b"]})
    assert before["unnamed"] == renamed["unnamed"]
    assert before["named"] != renamed["named"]
    changed = named_tensors({**weights, "a": torch.nextafter(weights["a"], torch.tensor(9.0))})
    assert before["unnamed"] != changed["unnamed"]
