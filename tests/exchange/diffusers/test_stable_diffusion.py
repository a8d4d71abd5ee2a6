"""Folders of Stable Diffusion as runs, and as folders again."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline

import ddpm
from ddpm.exchange.diffusers.export import export_diffusers
from ddpm.exchange.diffusers.stable_diffusion import read_model, recognises
from pipelines import PROMPT, pipeline, saved
from randomised import randomised
from refusal import refuses


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder as a run, for reading only."""
    out = tmp_path_factory.mktemp("runs") / "sd"
    read_model(folder, None).write(out)
    return out


def drawn(path: Path, **how: Any) -> np.ndarray:
    return np.asarray(ddpm.load(path, "cpu").sample(1, prompt=PROMPT, steps=2, **how)[0])


def test_the_run_says_what_it_is(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    (folder / "model_index.json").write_text(json.dumps(index))
    assert recognises(folder)
    found = read_model(folder, None)
    config = found.config
    assert (config.data.size, config.data.mode, config.shape) == ((32, 32), "RGB", (4, 8, 8))
    assert (config.diffusion.schedule, config.diffusion.prediction) == ("scaled-linear", "eps")
    assert config.sampling.guidance_scale == 7.5
    assert config.guides
    assert not config.sampling.clips
    assert [line.split(",")[0] for line in found.read[:3]] == ["UNet2DConditionModel", "AutoencoderKL", "CLIPTextModel"]
    assert "safety checker left out" in found.inferred


def test_a_moved_run_needs_nothing_else(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(run, tmp_path / "elsewhere" / "run")
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(drawn(Path("elsewhere/run")), drawn(run))
    assert not np.array_equal(drawn(run, negative_prompt="a dog"), drawn(run))
    assert not np.array_equal(drawn(run, guidance=1), drawn(run))


def test_a_text_encoder_that_changed_is_refused(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    weights = tmp_path / "run" / "text" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with refuses("incompatible", "text"):
        drawn(tmp_path / "run")
    shutil.rmtree(weights.parent)
    with refuses("missing", "text"):
        drawn(tmp_path / "run")


@pytest.mark.parametrize("kind", ["fp16", "bin", "tiny"])
def test_other_files_of_the_same_pipeline(kind: str, run: Path, tmp_path: Path) -> None:
    parts: dict[str, Any] = {}
    if kind == "tiny":
        widths = {"encoder_block_out_channels": (8,) * 3, "decoder_block_out_channels": (8,) * 3}
        blocks = {"num_encoder_blocks": (1,) * 3, "num_decoder_blocks": (1,) * 3}
        parts["vae"] = randomised(lambda: AutoencoderTiny(**widths, **blocks))
    made = pipeline(tmp_path / "encoder", **parts)
    if kind == "fp16":
        made.to(torch.float16).save_pretrained(tmp_path / "sd", variant="fp16")
    else:
        made.save_pretrained(tmp_path / "sd", safe_serialization=kind != "bin")
    if kind == "bin":  # which transformers no longer writes
        text = tmp_path / "sd" / "text_encoder"
        torch.save(made.text_encoder.state_dict(), text / "pytorch_model.bin")
        for file in text.glob("*.safetensors"):
            file.unlink()
    found = read_model(tmp_path / "sd", None)
    assert {"fp16": ".fp16.", "bin": ".bin", "tiny": "Tiny"}[kind] in "".join(found.read[:2])
    found.write(tmp_path / "run")
    image = drawn(tmp_path / "run")
    if kind == "bin":
        assert np.array_equal(image, drawn(run))


def test_weights_return_bit_for_bit(folder: Path, run: Path, tmp_path: Path) -> None:
    loaded = ddpm.load(run, "cpu").run
    export_diffusers(loaded, tmp_path / "out")
    again, before = (
        StableDiffusionPipeline.from_pretrained(p, safety_checker=None) for p in (tmp_path / "out", folder)
    )
    for part in ("unet", "vae", "text_encoder"):
        ours, theirs = (getattr(one, part).state_dict() for one in (again, before))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(tensor, ours[name]) for name, tensor in theirs.items())
    for name in ("text_encoder/config.json", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()
    kept = ("beta_start", "beta_end", "beta_schedule", "prediction_type", "num_train_timesteps", "timestep_spacing")
    assert all(again.scheduler.config[key] == before.scheduler.config[key] for key in kept)
    read_model(tmp_path / "out", None).write(tmp_path / "run")
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("file", "changes", "named"),
    [
        ("model_index.json", {"_class_name": "StableDiffusionXLPipeline"}, "StableDiffusionXLPipeline"),
        ("model_index.json", {"_class_name": "PixArtAlphaPipeline"}, "PixArtAlphaPipeline"),
        ("model_index.json", {"text_encoder": ["transformers", "T5EncoderModel"]}, "T5EncoderModel"),
        ("model_index.json", {"vae": ["diffusers", "AsymmetricAutoencoderKL"]}, "AsymmetricAutoencoderKL"),
        ("scheduler/scheduler_config.json", {"_class_name": "CMStochasticIterativeScheduler"}, "CMStochastic"),
        ("unet/config.json", {"encoder_hid_dim_type": "text_image_proj"}, "encoder_hid_dim_type"),
        ("text_encoder/config.json", {"use_attention_mask": True}, "text_encoder"),
        ("text_encoder/config.json", {"num_hidden_layers": 1}, "encoder.layers.1"),
    ],
)
def test_what_is_not_supported_is_named(
    folder: Path, tmp_path: Path, file: str, changes: dict[str, Any], named: str
) -> None:
    shutil.copytree(folder, tmp_path / "sd")
    config = json.loads((folder / file).read_text()) | changes
    (tmp_path / "sd" / file).write_text(json.dumps(config))
    assert recognises(tmp_path / "sd")
    with refuses("incompatible", named):
        read_model(tmp_path / "sd", None)


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    for name in ("tokenizer/tokenizer.json", "vae/diffusion_pytorch_model.safetensors", "text_encoder/config.json"):
        shutil.copytree(folder, tmp_path / "sd")
        (tmp_path / "sd" / name).unlink()
        with refuses("missing", name.split("/")[0]):
            read_model(tmp_path / "sd", None)
        shutil.rmtree(tmp_path / "sd")
    shutil.copytree(folder, tmp_path / "sd")
    weights = tmp_path / "sd" / "text_encoder" / "model.safetensors"
    weights.unlink()
    weights.symlink_to(tmp_path / "nowhere")  # as in a cache that was cleared in part
    with refuses("unreadable", "text_encoder"):
        read_model(tmp_path / "sd", None)
    with refuses("conflict", "--flags"):
        read_model(folder, "--image_size 32")
