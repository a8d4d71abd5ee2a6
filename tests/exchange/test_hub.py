"""Runs are uploaded to and opened from a stand-in of huggingface.co, which is a folder."""

import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import yaml

import ddpm
from autoencoders import stored
from cases import cases
from ddpm.config.guidance import GuidanceConfig
from ddpm.engine import autoguidance
from ddpm.exchange.hub import download, push
from ddpm.records.tuning import TunedGrid, TunedRecord
from random_runs import random_run
from refusal import refuses

huggingface_hub = pytest.importorskip("huggingface_hub")
UNET = {"kind": "unet", "width": 8, "multipliers": (1, 2), "blocks": 1}


class Hub:
    """What we use of huggingface_hub."""

    def __init__(self, root: Path) -> None:
        self.root, self.private = root, {}

    def HfApi(self) -> "Hub":
        return self

    def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> None:
        assert exist_ok
        self.private[name] = private
        (self.root / name).mkdir(parents=True, exist_ok=True)

    def upload_folder(self, *, repo_id: str, folder_path: Path, allow_patterns: list[str], commit_message: str) -> None:
        self._copy(folder_path, self.root / repo_id, allow_patterns)

    def upload_file(self, *, repo_id: str, path_or_fileobj: bytes, path_in_repo: str) -> None:
        (self.root / repo_id / path_in_repo).write_bytes(path_or_fileobj)

    def snapshot_download(self, name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        response = httpx2.Response(404, request=httpx2.Request("GET", "https://huggingface.co"))
        if not (self.root / name).exists():
            raise huggingface_hub.errors.RepositoryNotFoundError("404 Client Error.\n\nmore", response=response)
        if revision not in (None, "main"):
            raise huggingface_hub.errors.RevisionNotFoundError("404 Client Error.", response=response)
        out = self.root / "cache" / name
        self._copy(self.root / name, out, allow_patterns)
        return str(out)

    @staticmethod
    def _copy(source: Path, target: Path, patterns: list[str]) -> None:
        for file in sorted(source.rglob("*")):
            name = file.relative_to(source).as_posix()
            if file.is_file() and any(fnmatch(name, pattern) for pattern in patterns):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target / name)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    found = Hub(tmp_path / "hub")
    for name in ("HfApi", "snapshot_download"):
        monkeypatch.setattr(huggingface_hub, name, getattr(found, name))
    return found


def images(run: Any) -> np.ndarray:
    return run.sample(2, seed=1, steps=2, output="numpy")


def test_a_run_goes_up_and_comes_back(tmp_path: Path, hub: Hub) -> None:
    folder = tmp_path / "run"
    random_run(folder, UNET, mode="L", codec=stored(tmp_path / "ae"))
    for extra in ("checkpoints/step-000000001/ema.safetensors", "previews/images-000000000.png", "log.jsonl", "x.txt"):
        (folder / extra).parent.mkdir(parents=True, exist_ok=True)
        (folder / extra).write_bytes(b"")
    (folder / "README.md").write_text('# run\n\nimages = ddpm.load("runs/run").sample(16)\n')
    files = push(folder, "me/run", private=True)
    codec = [f"codec/{name}" for name in ("config.json", "latents.json", "model.safetensors")]
    expected = ["README.md", *codec, "config.json", "model.safetensors", "previews/images-000000000.png"]
    assert files == expected
    there = hub.root / "me/run"
    assert sorted(file.relative_to(there).as_posix() for file in there.rglob("*") if file.is_file()) == expected
    assert hub.private == {"me/run": True}
    _, front, text = (there / "README.md").read_text().split("---\n")
    assert yaml.safe_load(front)["library_name"] == "ddpm"
    assert 'ddpm.load("hf://me/run").sample(16)' in text
    again = ddpm.load("hf://me/run@main", "cpu")
    np.testing.assert_array_equal(images(again), images(ddpm.load(folder, "cpu")))


def test_the_earlier_version_to_guide_with_comes_along(tmp_path: Path, hub: Hub, digits_run: Path) -> None:
    run = ddpm.load(digits_run, "cpu").run
    guide = autoguidance.guide("early", digits_run, run.weights)
    shutil.copytree(digits_run, tmp_path / "run")
    how = run.sampling.model_copy(update={"guidance": GuidanceConfig(scale=2.0, away_from=guide)})
    grid = TunedGrid(sampling=how, start="", usual=0, untuned=0, tuned=0)
    record = TunedRecord(weights=run.weights, images=1, seed=0, reference=how, grids=(grid,))
    record.write(tmp_path / "run/tuned.json")
    assert any(name.startswith(guide.checkpoint) for name in push(tmp_path / "run", "me/digits"))
    assert autoguidance.model_of(guide, download("hf://me/digits"), run.engine.model) is not None


@cases(
    ("address", "code", "named"),
    [
        ("hf://me", "invalid", "hf://owner/name"),
        ("hf://me/none", "missing", "hf://me/none"),
        ("hf://me/some@old", "missing", "revision"),
        ("hf://me/some", "missing", "config.json"),
        ("hf://me/theirs", "incompatible", "ddpm import"),
    ],
)
def test_what_cannot_be_opened_is_one_line(address: str, code: Any, named: str, hub: Hub) -> None:
    for name in ("some", "theirs"):
        (hub.root / "me" / name).mkdir(parents=True, exist_ok=True)
    (hub.root / "me/some/tuned.json").touch()
    (hub.root / "me/theirs/model_index.json").write_text("{}")
    with refuses(code, named):
        ddpm.load(address)


def test_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with refuses("missing", "hf://me/run", "reached"):
        ddpm.load("hf://me/run")
    random_run(tmp_path / "run", UNET)
    with refuses("missing", "me/run", "reached"):
        push(tmp_path / "run", "me/run")
    with refuses("invalid", "me/run/it"):
        push(tmp_path / "run", "me/run/it")
