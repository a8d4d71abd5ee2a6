"""Exported runs draw the same images in diffusers, and come back as they were."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

import autoencoders
from cases import cases
from ddpm.engine.loading import load
from ddpm.engine.options import asked
from ddpm.engine.run import LoadedRun
from ddpm.exchange.diffusers.export import export_diffusers
from ddpm.exchange.diffusers.pipeline import read_model
from ddpm.sampling import rows_of
from random_runs import random_run
from refusal import refuses

PLAIN = {"kind": "plain-unet", "width": 8, "multipliers": (1, 2), "blocks": (1,), "norm_groups": 4, "middle": "self"}
PLAIN |= {"attention": ("none", "self"), "heads": (2,)}
UNET = {"kind": "unet", "width": 64, "multipliers": (1, 2), "blocks": 1}
DIT = {"kind": "plain-dit", "depth": 2, "width": 32, "heads": 2, "cond_width": 32}
TRAILING = {"grid": "trailing", "steps": 4}


def ours(run: LoadedRun, changes: dict[str, Any], **subject: Any) -> torch.Tensor:
    """x of two images at the end, (B, C, H, W)."""
    want, moments = asked(run, changes, subject.get("label"), 2, subject.get("prompt")), []
    run.draw(want.how, want.subjects, 0, range(2), watch=moments.append)
    return moments[-1].x


def theirs(folder: Path, run: LoadedRun, patch: pytest.MonkeyPatch, *given: Any, **how: Any) -> np.ndarray:
    """Their images from the same noise, (B, H, W, C) in [0, 1]."""
    pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    noise = run.engine.grid(run.sampling)[0].sigma * run.engine.noise(rows_of(0, range(2)))()
    module = __import__(type(pipeline).__module__, fromlist=["randn_tensor"])
    patch.setattr(module, "randn_tensor", lambda *_, **__: noise)
    how = {"num_inference_steps": 4, "output_type": "np"} | how
    return pipeline(*given, **how).images


def pixels(run: LoadedRun, x: torch.Tensor) -> np.ndarray:
    """Images in [0, 1], (B, H, W, C), not rounded."""
    if run.config.codec.in_pixels:
        images = x
    else:
        trained = run.engine.codec.trained
        images = trained.net.decode(x * trained.spread[:, None, None] + trained.mean[:, None, None])
    return (images / 2 + 0.5).clamp(0, 1).movedim(1, -1).numpy()


def same_weights(run: LoadedRun, again: Path, *besides: str) -> None:
    own, found = run.engine.model.state_dict(), load(again, "cpu").engine.model.state_dict()
    assert own.keys() - {*besides} == found.keys() - {*besides}
    assert all(torch.equal(own[name], found[name]) for name in own if name not in besides)


@cases(
    ("mode", "network", "diffusion"),
    [
        ("RGB", UNET, {}),
        ("L", PLAIN, {"schedule": "cosine", "prediction": "v", "zero_terminal_snr": True}),
        ("RGBA", PLAIN, {"schedule": "sigmoid", "prediction": "x0", "T": 100}),
    ],
)
def test_unconditional_runs(mode, network, diffusion, tmp_path_factory, monkeypatch):
    tmp_path = tmp_path_factory.mktemp("run")
    run = random_run(tmp_path / "run", network, mode=mode, diffusion=diffusion, sampling=TRAILING)
    lines = export_diffusers(run, tmp_path / "out")
    assert lines[0] == "DDIMPipeline: unet UNet2DModel, scheduler DDIMScheduler"
    assert "use_clipped_model_output=True" in lines[-1]
    found = theirs(tmp_path / "out", run, monkeypatch, use_clipped_model_output=True)
    assert found.std() > 0.1
    np.testing.assert_allclose(found, pixels(run, ours(run, {})), atol=1e-4)
    same_weights(run, read_model(tmp_path / "out", None).write(tmp_path / "again").path)


@cases("network", [{**UNET, "cond_width": 16}, {**PLAIN, "cond_width": 32}])
def test_the_class_of_a_run_becomes_a_part_of_its_embedding_of_time(network, tmp_path_factory, monkeypatch):
    tmp_path = tmp_path_factory.mktemp("run")
    run = random_run(tmp_path / "run", network, classes=("cat", "dog"), sampling=TRAILING, dropout=0.1)
    for label in ("dog", None):
        out = tmp_path / f"{label}"
        export_diffusers(run, out, label)
        expected = pixels(run, ours(run, {}, label=label))
        found = theirs(out, run, monkeypatch, use_clipped_model_output=True)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        again = load(read_model(out, None).write(tmp_path / f"again {label}").path, "cpu")
        assert not again.classes
        np.testing.assert_allclose(pixels(again, ours(again, TRAILING)), expected, atol=1e-4)
    alone = random_run(tmp_path / "alone", network, classes=("cat", "dog"), sampling=TRAILING)
    with refuses("conflict", "--label cat"):
        export_diffusers(alone, tmp_path / "refused")


def latent_codec(folder: Path, mode: str = "RGB") -> Any:
    return autoencoders.stored(folder, mode, side=16, channels=4, norm="group")


@cases(("solver", "scheduler"), [("ddim", "DDIMScheduler"), ("dpm++-2m", "DPMSolverMultistepScheduler")])
def test_latent_runs(solver, scheduler, tmp_path_factory, monkeypatch):
    tmp_path = tmp_path_factory.mktemp("run")
    codec = latent_codec(tmp_path / "ae")
    how = {**TRAILING, "solver": solver}
    run = random_run(tmp_path / "run", PLAIN, side=16, codec=codec, sampling=how)
    assert export_diffusers(run, tmp_path / "out")[0].endswith(
        f"vqvae AutoencoderKL, unet UNet2DModel, scheduler {scheduler}"
    )
    np.testing.assert_allclose(theirs(tmp_path / "out", run, monkeypatch), pixels(run, ours(run, {})), atol=1e-4)
    same_weights(run, read_model(tmp_path / "out", None).write(tmp_path / "again").path)


@cases(("variance", "solver"), [("small", "dpm++-2m"), ("learned", "ddim")])
def test_transformers_of_classes(variance, solver, tmp_path_factory, monkeypatch):
    tmp_path = tmp_path_factory.mktemp("run")
    codec, how = latent_codec(tmp_path / "ae"), {**TRAILING, "solver": solver, "guidance": 2.0}
    run = random_run(
        tmp_path / "run",
        DIT,
        side=16,
        classes=("cat", "dog"),
        codec=codec,
        sampling=how,
        dropout=0.1,
        diffusion={"variance": variance},
    )
    export_diffusers(run, tmp_path / "out")
    found = theirs(tmp_path / "out", run, monkeypatch, [1, 1], guidance_scale=2.0)
    np.testing.assert_allclose(found, pixels(run, ours(run, {}, label="dog")), atol=1e-4)
    again = read_model(tmp_path / "out", None).write(tmp_path / "again").path
    assert load(again, "cpu").classes == ("cat", "dog")
    same_weights(run, again)
    with refuses("conflict", "--label"):
        export_diffusers(run, tmp_path / "refused", "cat")


def test_what_diffusers_does_not_have_is_refused(tmp_path):
    def refused(name: str, *named: str, **how: Any) -> None:
        run = random_run(tmp_path / name, **how)
        with refuses("incompatible", *named, "--to onnx"):
            export_diffusers(run, tmp_path / f"out {name}")
        assert not (tmp_path / f"out {name}").exists()

    refused("patch", "network.patch 2", network={**UNET, "patch": 2})
    refused("norm", "network.norm layer", network={**UNET, "norm": "layer"})
    refused("dit", "--network plain-unet", network={"kind": "dit", "depth": 1, "width": 32, "heads": 2})
    refused("pixels", "--codec", network=DIT, classes=("cat", "dog"))
    refused("schedule", "schedule", network=PLAIN, diffusion={"schedule": "flow", "prediction": "flow"})
    codec = autoencoders.stored(tmp_path / "ae", "RGBA", channels=4, norm="group")
    refused("alpha", "RGBA", network=PLAIN, mode="RGBA", codec=codec)
