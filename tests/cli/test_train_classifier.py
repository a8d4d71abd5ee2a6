"""From a run without labels to one whose samples can be asked for by class."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ddpm
from ddpm.engine.loading import load
from ddpm.engine.options import settings
from ddpm.records.provenance import Provenance
from ddpm.tasks.generate import sample
from flags import TINY
from refusal import refuses
from stopping import stopped_at

Cli = Callable[..., int]
SMALL = ("--images", "192", "--batch", "16", "--width", "8", "--precision", "fp32")
"""12 steps."""


@pytest.fixture(scope="session")
def unlabelled(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without labels on digits, and its classifier; for reading only."""
    out = tmp_path_factory.mktemp("runs") / "unlabelled"
    flags = ("--images", "64", "--batch", "16", "--precision", "fp32", "--no-labels")
    assert cli("train", "digits", "--out", out, *flags, *TINY) == 0
    assert cli("train-classifier", out, *SMALL) == 0
    with torch.no_grad():  # a network of 12 steps is as good as blind, and would change no pixel
        path = out / "classifier" / "model.safetensors"
        from safetensors.torch import load_file, save_file

        tensors = load_file(path)
        tensors["net.pool.out.weight"] = torch.randn(10, 16, generator=torch.Generator().manual_seed(0))
        save_file(tensors, path)
    return out


@pytest.fixture
def run(unlabelled: Path, tmp_path: Path) -> Path:
    return shutil.copytree(unlabelled, tmp_path / "run")


def digests(folder: Path) -> dict[str, str]:
    files = [folder / "model.safetensors", *sorted((folder / "checkpoints").glob("*/*"))]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_what_is_left_and_said(cli: Cli, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run / "classifier"
    assert {p.name for p in folder.iterdir()} == {"config.json", "model.safetensors", "log.jsonl", "checkpoints"}
    kinds = [json.loads(line)["kind"] for line in (folder / "log.jsonl").read_text().splitlines()]
    assert set(kinds) == {"start", "train", "held-out", "checkpoint", "finish"}
    first = next(json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines() if "held-out" in line)
    assert first["loss"] == pytest.approx(np.log(10))  # a fresh one knows nothing
    assert cli("train-classifier", run, *SMALL) == 0  # finished: it says again how good it is
    said = capsys.readouterr().out
    assert "held-out accuracy, 89 images" in said
    assert said.count("noise-to-signal ratio") == 8


def test_stopped_and_gone_on_bit_for_bit(cli: Cli, unlabelled: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(unlabelled, bare, ignore=shutil.ignore_patterns("classifier"))
    runs = [shutil.copytree(bare, tmp_path / name) for name in ("whole", "stopped")]
    for step in (1, 7, 11):
        with stopped_at(step):
            assert cli("train-classifier", runs[1], *SMALL) == 75
    for out in runs:
        assert cli("train-classifier", out, *SMALL) == 0
    whole, gone_on = (digests(out / "classifier") for out in runs)
    last = {name for name in whole if "step-000000012" in name or name == "model.safetensors"}
    assert len(last) == 6
    assert {name: gone_on[name] for name in last} == {name: whole[name] for name in last}


def test_a_picture_is_drawn_again(cli: Cli, run: Path) -> None:
    for flags in [
        (),
        ("--classifier-form", "mean", "--solver", "ancestral"),
        ("--classifier-form", "mean", "--solver", "ancestral-large", "--temperature", "0.9"),
        ("--solver", "dpm++-2m", "--guidance-interval", "0.1", "90"),
    ]:
        argv = ("-n", "2", "--steps", "3", "--label", "7")
        solver = flags[flags.index("--solver") :][:2] if "--solver" in flags else ()
        assert cli("sample", run, *argv, "--classifier", "20", *flags, "--out", run / "x") == 0
        assert cli("sample", run, "-n", "2", "--steps", "3", *solver, "--out", run / "plain") == 0
        picture = run / "x" / "00001.png"
        record = Provenance.read(picture)
        assert (record.label, record.sampling.classifier.scale) == ("7", 20.0)
        assert record.sampling.classifier.weights
        a, b = (ddpm_pixels(run / name / "00001.png") for name in ("x", "plain"))
        assert (a != b).any()
        assert cli("sample", "--from", picture) == 0
        assert (run / "x" / "00001-again.png").read_bytes() == picture.read_bytes()


def ddpm_pixels(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


def test_an_image_alone_is_the_image_among_others(unlabelled: Path) -> None:
    pipe = ddpm.load(unlabelled, "cpu")
    labels = [str(i % 10) for i in range(20)]
    many = pipe.sample(20, label=labels, steps=3, classifier=5.0)
    alone = pipe.sample(1, label=labels[17], steps=3, classifier=5.0, indices=[17])
    assert np.array_equal(np.asarray(alone[0]), np.asarray(many[17]))


def test_a_label_needs_the_classifier_even_where_it_is_at_hand(unlabelled: Path) -> None:
    run = load(unlabelled, "cpu")
    prepared = run.prepared(settings(run, {"classifier": 2.0}))
    with refuses("conflict"):
        sample(prepared, 1, label="7", steps=1)


def test_with_the_models_own_labels(cli: Cli, digits_run: Path, run: Path, tmp_path: Path) -> None:
    """A run with labels: both kinds of guidance change the picture, together and alone."""
    out = shutil.copytree(digits_run, tmp_path / "labelled")
    assert cli("train-classifier", out, *SMALL) == 0
    shutil.copy(run / "classifier" / "model.safetensors", out / "classifier" / "model.safetensors")
    pipe = ddpm.load(out, "cpu")

    def drawn(**settings: float) -> bytes:
        [image] = pipe.sample(1, label="3", steps=3, **settings)
        return np.asarray(image).tobytes()

    ways = [{"guidance": 1.0}, {"guidance": 3.0}, {"guidance": 1.0, "classifier": 20.0}]
    ways.append({"guidance": 3.0, "classifier": 20.0})
    assert len({drawn(**way) for way in ways}) == 4


def test_an_evaluation_asks_for_the_classifiers_classes(cli: Cli, run: Path) -> None:
    assert cli("evaluate", run, "-n", "64", "--steps", "1", "--classifier", "5") == 0
    [path] = (run / "evaluations").glob("*/score.json") if (run / "evaluations").exists() else run.rglob("score.json")
    score = json.loads(path.read_text())
    assert score["samples"]["labels"] == "reference"
    assert score["samples"]["sampling"]["classifier"]["scale"] == 5.0


def test_what_cannot_be_asked(run: Path, refused: Callable[..., str]) -> None:
    for flags, said in [
        (("--classifier", "2"), "classifier guidance requires a label"),
        (("--classifier", "0", "--label", "7"), "classifier must be above 0 and finite, not 0.0"),
        (("--classifier-form", "mean"), "classifier_form requires classifier"),
        (("--label", "7"), "was trained without labels; if its images have classes, train a classifier"),
        (
            ("--label", "7", "--classifier", "2", "--classifier-form", "mean"),
            "classifier_form mean requires an ancestral solver, not unipc-2",
        ),
        (("--label", "7", "--classifier", "2", "--guidance", "2"), "guidance 2.0 requires a label"),
        (("--label", "17", "--classifier", "2"), "label '17'"),
        (
            ("--label", "7", "--classifier", "2", "--size", "12"),
            "classifier guidance requires images of the run's own size",
        ),
        (("--label", "7", "--classifier", "2", "--classifier-form", "both"), "choose from score, mean"),
    ]:
        assert said in refused("sample", run, "--steps", "2", *flags, kept=run)


def test_a_picture_of_another_classifier(cli: Cli, run: Path, refused: Callable[..., str]) -> None:
    assert cli("sample", run, "-n", "1", "--steps", "1", "--label", "2", "--classifier", "2", "--out", run / "x") == 0
    shutil.rmtree(run / "classifier")
    picture = run / "x" / "00000.png"
    assert "has no classifier; train one with `ddpm train-classifier" in refused("sample", "--from", picture, kept=run)
    assert cli("train-classifier", run, *SMALL, "--seed", "1") == 0
    assert "the weights of the classifier" in refused("sample", "--from", picture, kept=run)


def test_what_cannot_be_trained(
    cli: Cli, run: Path, folder: Callable[..., Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    said = refused("train-classifier", run, *SMALL, "--seed", "2", kept=run)
    assert f"was started without --seed 2; omit --seed to resume, or remove {run / 'classifier'}" in said
    assert "--for cannot be combined with --images" in refused("train-classifier", run, "--for", "1m", "--images", "5")
    assert "is a checkpoint" in refused("train-classifier", next((run / "checkpoints").iterdir()), *SMALL)
    assert "has no config.json" in refused("train-classifier", tmp_path, *SMALL)
    shutil.rmtree(run / "classifier")
    photos = folder(4)
    assert "photos has 0 classes" in refused("train-classifier", run, *SMALL, "--data", photos, kept=run)
    for width in ("7", "0"):
        said = refused("train-classifier", run, "--images", "64", "--width", width, kept=run)
        assert f"network: width is {width}" in said


def test_given_pictures_are_changed_by_class(cli: Cli, run: Path, unlabelled: Path) -> None:
    """At strength 1 as samples are."""
    pipe, how = ddpm.load(unlabelled, "cpu"), {"label": "7", "classifier": 50.0, "steps": 3, "seed": 2}
    photo = Image.fromarray(np.full((8, 8), 90, np.uint8))
    made = pipe.edit(photo, 1, **how)
    assert made.tobytes() == pipe.sample(1, **how)[0].tobytes()
    assert made.tobytes() != pipe.sample(1, steps=3, seed=2)[0].tobytes()
    photo.save(run / "photo.png")
    typed = ("--strength", "1", "--label", "7", "--classifier", "50", "--steps", "3", "--seed", "2")
    assert cli("edit", run, run / "photo.png", *typed, "--out", run / "x") == 0
    assert (ddpm_pixels(run / "x" / "00000.png") == np.asarray(made)).all()
