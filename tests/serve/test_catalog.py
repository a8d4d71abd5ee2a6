"""Runs by name, in bounded memory."""

import shutil
from pathlib import Path

import pytest

from cases import cases
from ddpm.engine.loading import load
from ddpm.engine.run import LoadedRun
from ddpm.serve import catalog as catalogs
from ddpm.serve.catalog import Catalog
from refusal import refuses


@pytest.fixture
def place(shapes: LoadedRun, tmp_path: Path) -> Path:
    """A folder of three runs, a damaged one, and other things."""
    place = tmp_path / "runs"
    for name in ("a", "b", "c"):
        shutil.copytree(shapes.source, place / name)
    (place / "unfinished").mkdir()
    (place / "unfinished" / "config.json").write_text("{}")
    (place / "notes.txt").write_text("")
    return place


def test_the_least_recently_used_is_dropped(place: Path) -> None:
    one = Catalog([place], 0, "cpu").get("a").bytes
    catalog = Catalog([place], 2 * one, "cpu")
    for name, kept in (("a", "a"), ("b", "ab"), ("a", "ba"), ("c", "ac"), ("b", "cb")):
        catalog.get(name)
        assert "".join(catalog.names()) == kept
    small = Catalog([place], 0, "cpu")
    assert small.get("b").run.source == place / "b"
    assert small.names() == ("b",)  # the run in use, whatever the limit


def test_a_run_is_loaded_once_and_again_when_trained_further(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads, catalog = [], Catalog([place], 1 << 30, "cpu")

    def counted(path: Path, device: str | None) -> LoadedRun:
        loads.append(path)
        return load(path, device)

    monkeypatch.setattr(catalogs, "load", counted)
    first = catalog.get("a")
    assert catalog.get("a") is first
    weights = place / "a" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert catalog.get("a").run.weights != first.run.weights
    assert len(loads) == 2
    (place / "a" / "classifier").mkdir()
    (place / "a" / "classifier" / "model.safetensors").write_bytes(b"trained again")
    catalog.get("a")
    assert len(loads) == 3


def test_new_runs_are_found_and_vanished_places_are_empty(place: Path) -> None:
    catalog = Catalog([place], 1 << 30, "cpu")
    assert list(catalog.folders()) == ["a", "b", "c"]
    shutil.copytree(place / "a", place / "d")
    assert list(catalog.folders()) == ["a", "b", "c", "d"]
    place.rename(place.with_name("moved"))
    assert not catalog.folders()


def test_names_are_unique(place: Path, tmp_path: Path) -> None:
    other = tmp_path / "more"
    other.mkdir()
    catalog = Catalog([place, other], 1 << 30, "cpu")
    shutil.copytree(place / "a", other / "a")
    assert catalog.folders()["a"].path == place / "a"  # a later one of the same name does not stop the server
    with refuses("conflict", str(place / "a"), str(other / "a")):
        Catalog([place, other], 1 << 30)
    assert list(Catalog([place / "a", place, place / ".." / place.name], 1 << 30).folders()) == ["a", "b", "c"]


@cases("name", ["", "..", "../a", "a/", "A" * 5000, "\0", "unfinished", "notes.txt"])
def test_other_names_are_unknown(catalog: Catalog, name: str) -> None:
    with refuses("unknown"):
        catalog.get(name)


def test_a_place_must_exist(tmp_path: Path) -> None:
    with refuses("missing", "nowhere"):
        Catalog([tmp_path / "nowhere"], 0)
