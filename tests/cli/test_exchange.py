"""A model of another program becomes a run, which every command takes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
from PIL import Image

import ddpm
from ddpm.cli.exchange import import_model
from ddpm.exchange import conversion
from openai_unet import CLASSIFIER, SMALL, make_state
from randomised import randomised
from refusal import refuses

Cli = Callable[..., int]
Refused = Callable[..., str]
SIDE = 8
PLAIN = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2, "layers_per_block": 1}


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline that diffusers saved, unconditional, of 8 × 8 pixels."""
    folder = tmp_path_factory.mktemp("theirs") / "pipeline"
    net = randomised(
        lambda: UNet2DModel(
            sample_size=SIDE,
            block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            norm_num_groups=4,
            attention_head_dim=8,
        )
    )
    DDPMPipeline(net, DDPMScheduler(beta_schedule="squaredcos_cap_v2")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for i in range(40):
        colour = np.broadcast_to(rng.integers(0, 256, 3, np.uint8), (SIDE, SIDE, 3))
        Image.fromarray(np.ascontiguousarray(colour)).save(folder / f"{i}.png")
    return folder


def test_a_classifier_is_imported_for_its_run(
    tmp_path: Path, cli: Cli, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    run, own = tmp_path / "run", tmp_path / "run" / "classifier"
    torch.save(make_state(SMALL | {"class_cond": False}), tmp_path / "model.pt")
    torch.save(make_state(CLASSIFIER), tmp_path / "classifier.pt")
    assert cli("import", tmp_path / "model.pt", "--out", run, "--flags", "--image_size 16") == 0
    assert "--out RUN/classifier" in refused("import", tmp_path / "classifier.pt", "--out", tmp_path / "other")
    deep = ("--flags", "--classifier_depth 4")
    assert "classifier_depth 1" in refused("import", tmp_path / "classifier.pt", "--out", own, *deep)
    capsys.readouterr()
    assert cli("import", tmp_path / "classifier.pt", "--out", own, "--flags", "--classifier_pool attention") == 0
    assert f"ddpm sample {run} --label 0 --classifier 2" in capsys.readouterr().out
    drawn = {}
    for scale in ("0.1", "20"):
        settings = ("--label", "3", "--classifier", scale, "--steps", "4", "-n", "1")
        assert cli("sample", run, *settings, "--out", tmp_path / scale) == 0
        drawn[scale] = np.asarray(Image.open(next((tmp_path / scale).rglob("*.png"))))
    assert not np.array_equal(drawn["0.1"], drawn["20"])
    assert "imported" in refused("train-classifier", run)
    shutil.rmtree(own)
    assert "--data" in refused("train-classifier", run)


def test_import_says_what_it_read_and_every_task_takes_the_run(
    pipeline: Path, images: Path, tmp_path: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert cli("import", pipeline, "--out", run, "--data", images) == 0
    said = capsys.readouterr().out
    parameters = sum(p.numel() for p in UNet2DModel.from_pretrained(pipeline / "unet").parameters())
    assert f"{parameters:,} parameters" in said
    assert "cosine" in said
    assert "RGB" in said
    config = json.loads((run / "config.json").read_text())
    assert config["request"] == {"import": str(pipeline), "data": str(images)}
    assert config["data"]["images"] + config["data"]["held_out"] == 40
    photo = images / "0.png"
    mask = tmp_path / "mask.png"
    Image.fromarray(np.pad(np.full((4, 4), 255, np.uint8), 2)).save(mask)
    few = ("--steps", "2")
    assert cli("sample", run, "-n", "2", *few) == 0
    assert cli("inpaint", run, photo, "--mask", mask, *few, "--out", tmp_path / "inpainted") == 0
    assert cli("edit", run, photo, "--strength", "0.5", *few, "--out", tmp_path / "edited") == 0
    assert cli("evaluate", run, "-n", "10", *few) == 0
    assert cli("likelihood", run, "-n", "2", "--steps", "3") == 0
    assert cli("tune", run, "--steps", "2", "-n", "2", "--solvers", "dpm++-2m") == 0
    assert cli("report", run) == 0
    assert "Imported from another program" in (run / "report.html").read_text()
    assert "converted from another program" in (run / "README.md").read_text()


def test_the_forward_pass_is_that_of_the_original(pipeline: Path, tmp_path: Path) -> None:
    done = conversion.convert(pipeline, tmp_path / "run")
    assert done.difference is not None
    assert done.difference < 1e-4
    net = UNet2DModel.from_pretrained(pipeline / "unet")
    x = torch.arange(3 * SIDE**2, dtype=torch.float64).sin().float().reshape(1, 3, SIDE, SIDE)
    with torch.no_grad():
        theirs = net(x, torch.tensor([500.0])).sample
    assert done.fingerprint.mean == pytest.approx(theirs.mean().item(), abs=1e-5)
    assert done.fingerprint.std == pytest.approx(theirs.std(correction=0).item(), abs=1e-5)
    assert done.fingerprint.first == pytest.approx(theirs.flatten()[:3].tolist(), abs=1e-4)


def test_a_variant_is_compared_and_unknown_names_are_not(pipeline: Path, tmp_path: Path) -> None:
    net = UNet2DModel.from_pretrained(pipeline / "unet")
    folder = tmp_path / "unet"
    net.save_pretrained(folder, variant="fp16")
    assert conversion.convert(folder, tmp_path / "first").difference == pytest.approx(0, abs=1e-4)
    (folder / "diffusion_pytorch_model.fp16.safetensors").rename(folder / "model.safetensors")
    assert conversion.convert(folder, tmp_path / "second").difference is None


def test_classes_in_another_order_are_refused(images: Path, tmp_path: Path) -> None:
    net = UNet2DModel(SIDE, block_out_channels=(8, 8), norm_num_groups=4, num_class_embeds=2, **PLAIN)
    DDPMPipeline(net, DDPMScheduler()).save_pretrained(tmp_path / "theirs")
    index = tmp_path / "theirs" / "model_index.json"
    for name in ("dog", "cat"):
        shutil.copytree(images, tmp_path / "photos" / name)
    index.write_text(json.dumps(json.loads(index.read_text()) | {"id2label": {"0": "dog", "1": "cat"}}))
    with refuses("incompatible", "order"):
        conversion.convert(tmp_path / "theirs", tmp_path / "run", data=str(tmp_path / "photos"))


def test_another_forward_pass_is_refused_and_leaves_nothing(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "difference", lambda path, run: 0.5)
    with refuses("incompatible", str(pipeline), "0.5"):
        conversion.convert(pipeline, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_without_its_data_a_run_asks_for_it(pipeline: Path, images: Path, tmp_path: Path, refused: Refused) -> None:
    run = tmp_path / "run"
    pipe = ddpm.import_model(pipeline, out=run)
    assert isinstance(pipe, ddpm.Pipeline)
    assert pipe.sample(2, steps=2, output="numpy").shape == (2, SIDE, SIDE, 3)
    for command in (("evaluate", run), ("likelihood", run)):
        line = refused(*command, "-n", "10", "--steps", "2", kept=run)
        assert "--data" in line
        assert line.count("--data") <= 2
    score = ddpm.evaluate(run, str(images), n=10, sampling={"steps": 2})
    assert any("no search for copies" in note for note in score.notes)


def test_what_cannot_be_imported(pipeline: Path, tmp_path: Path, refused: Refused) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    import_model(pipeline, out=run)
    assert str(run) in refused("import", pipeline, "--out", run, kept=tmp_path)
    assert str(run) in refused("import", run, "--out", other, kept=tmp_path)
    assert "nowhere" in refused("import", tmp_path / "nowhere", "--out", other, kept=tmp_path)
    (tmp_path / "empty").mkdir()
    assert "empty" in refused("import", tmp_path / "empty", "--out", other, kept=tmp_path)
    assert "--flags" in refused("import", pipeline, "--flags", "--num_heads 4", "--out", other, kept=tmp_path)
    assert "nothing" in refused("import", pipeline, "--data", tmp_path / "nothing", "--out", other, kept=tmp_path)
