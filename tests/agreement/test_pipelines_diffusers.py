"""Pipelines that diffusers saved: the imported run draws the same images, on the same levels."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMPipeline,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    LDMPipeline,
    PNDMScheduler,
    UNet2DModel,
    VQModel,
)

import ddpm
from cases import cases
from ddpm import build
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.exchange.diffusers.pipeline import read_model, recognises
from ddpm.exchange.diffusers.scheduler import read_scheduler, write_scheduler
from ddpm.pipeline import Pipeline
from ddpm.sampling.follow import Moment

STEPS = 5
SHAPE = {
    "sample_size": 16,
    "block_out_channels": (32, 32),
    "norm_num_groups": 8,
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}


def network(**changes: Any) -> UNet2DModel:
    """Their network, random also where a fresh one is zero."""
    torch.manual_seed(0)
    net = UNet2DModel(**SHAPE | changes).eval().requires_grad_(False)
    for p in net.parameters():
        if p.ndim == 1:
            p += 0.2 * torch.randn_like(p)
    return net


def imported(path: Path) -> tuple[Pipeline, RunConfig]:
    assert recognises(path)
    found = read_model(path, None)
    assert isinstance(found.config, RunConfig)
    found.write(path.parent / "run")
    return ddpm.load(path.parent / "run", "cpu"), found.config


def drawn(pipe: Pipeline, **how: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """x at the start and at the end."""
    found: list[torch.Tensor] = []

    def watch(moment: Moment) -> None:
        found.append(moment.x.clone())

    pipe.sample(1, steps=STEPS, watch=watch, **how)
    return found[0], found[-1]


def walked(net: UNet2DModel, scheduler: Any, x: torch.Tensor, labels: torch.Tensor | None = None, **how: Any) -> Any:
    """The end of theirs from x."""
    scheduler.set_timesteps(STEPS)
    for t in scheduler.timesteps:
        x = scheduler.step(net(x, t, labels).sample, t, x, **how).prev_sample
    return x


@torch.no_grad()
def test_ddim_and_dpm_solver(tmp_path: Path) -> None:
    net = network()
    path = tmp_path / "ddim" / "pipeline"
    DDIMPipeline(net, DDIMScheduler(timestep_spacing="trailing")).save_pretrained(path)
    pipe, config = imported(path)
    assert (config.sampling.short, config.sampling.grid, config.sampling.clips) == ("ddim50", "trailing", True)
    start, end = drawn(pipe)
    scheduler = DDIMScheduler.from_pretrained(path / "scheduler")
    torch.testing.assert_close(end, walked(net, scheduler, start, use_clipped_model_output=True), rtol=0, atol=1e-4)
    path = tmp_path / "dpm" / "pipeline"
    multistep = DPMSolverMultistepScheduler(prediction_type="v_prediction", timestep_spacing="trailing")
    DDPMPipeline(net, DDPMScheduler()).save_pretrained(path)
    multistep.save_pretrained(path / "scheduler")
    pipe, config = imported(path)
    assert (config.sampling.short, config.sampling.clips, config.diffusion.prediction) == ("dpm++-2m20", False, "v")
    start, end = drawn(pipe)
    expected = walked(net, multistep, start)
    assert expected.std() > 0.3
    torch.testing.assert_close(end, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_labels_and_learned_variance(tmp_path: Path) -> None:
    net = network(num_class_embeds=3, out_channels=6)
    path = tmp_path / "pipeline"
    DDPMPipeline(net, DDPMScheduler(variance_type="learned_range", thresholding=True)).save_pretrained(path)
    pipe, config = imported(path)
    assert (config.data.classes, config.training.label_dropout, config.diffusion.variance) == (
        ("0", "1", "2"),
        0.0,
        "learned",
    )
    assert config.sampling.clip.kind == "range"
    x, t, labels = torch.randn(2, 3, 16, 16), torch.tensor([3.0, 700.0]), torch.tensor([2, 0])
    model = pipe.run.engine.model
    found = model.net(x, t, model.cond({"label": labels}, 2))
    torch.testing.assert_close(found, net(x, t, labels).sample, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_latents(tmp_path: Path) -> None:
    path = tmp_path / "pipeline"
    torch.manual_seed(0)
    codec = VQModel(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        num_vq_embeddings=32,
        sample_size=32,
    )
    net = network()
    steps = DDIMScheduler(beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear", clip_sample=False)
    LDMPipeline(codec, net, steps).save_pretrained(path)
    pipe, config = imported(path)
    assert (config.data.size, config.shape, config.sampling.clips) == ((32, 32), (3, 16, 16), False)
    grid = [901.0, 701.0, 501.0, 301.0, 101.0]
    leading = DDIMScheduler.from_config(steps.config, steps_offset=100)
    found: list[Moment] = []
    (image,) = pipe.sample(1, solver="ddim", grid=grid, watch=found.append, output="numpy")
    x = walked(net, leading, found[0].x)
    torch.testing.assert_close(found[-1].x, x, rtol=1e-4, atol=1e-4 * x.std().item())
    pixels = codec.decode(x / codec.config.scaling_factor).sample[0].movedim(0, -1).clamp(-1, 1)
    assert ((pixels + 1) * 127.5 - torch.from_numpy(image)).abs().max() < 0.6


def test_parts_next_to_the_index(tmp_path: Path) -> None:
    """As in the first pipelines, such as google/ddpm-cifar10-32."""
    path = tmp_path / "pipeline"
    DDPMPipeline(network(), DDPMScheduler(beta_schedule="squaredcos_cap_v2")).save_pretrained(path)
    for part in ("unet", "scheduler"):
        for file in (path / part).iterdir():
            file.rename(path / file.name)
        (path / part).rmdir()
    _, config = imported(path)
    assert config.diffusion.schedule == "cosine"


def test_a_network_alone(tmp_path: Path) -> None:
    network(sample_size=None).save_pretrained(tmp_path / "net")
    assert recognises(tmp_path / "net")
    found = read_model(tmp_path / "net", None)
    assert (found.config.data.size, found.config.data.mode) == ((64, 64), "RGB")
    assert len(found.inferred) == 4


SCHEDULES: list[dict[str, Any]] = [
    {},
    {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "prediction_type": "v_prediction"},
    {"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 50, "prediction_type": "sample"},
    {"num_train_timesteps": 250, "beta_start": 4e-4, "beta_end": 0.08},
    {"beta_schedule": "scaled_linear", "beta_start": 0.0015, "beta_end": 0.0195},
    {"trained_betas": [0.1, 0.2, 0.5], "num_train_timesteps": 3},
    {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"},
]
NAMES = ["linear", "scaled-linear", "cosine", "linear", "custom", "custom", "linear"]


@cases(("config", "name"), list(zip(SCHEDULES, NAMES, strict=True)))
def test_levels(config: dict[str, Any], name: str) -> None:
    """Both directions have the levels of theirs, which are float32."""
    theirs = DDIMScheduler(**config)
    process = read_scheduler({"_class_name": "DDIMScheduler", **theirs.config}, "theirs")
    diffusion = DiffusionConfig.model_validate(process.trees["diffusion"])
    assert diffusion.schedule == name
    levels: Any = build.build_schedule(diffusion)
    torch.testing.assert_close(levels.alpha_bar[1:].float(), theirs.alphas_cumprod, rtol=1e-4, atol=1e-7)
    tree = write_scheduler(diffusion, SamplingConfig(), "DDIM")
    again = DDIMScheduler.from_config(tree)
    torch.testing.assert_close(again.alphas_cumprod, theirs.alphas_cumprod, rtol=1e-4, atol=1e-7)
    assert again.config.prediction_type == theirs.config.prediction_type


def test_sigmoid_levels() -> None:
    theirs = DDPMScheduler(beta_schedule="sigmoid", variance_type="fixed_large", clip_sample_range=1.0)
    process = read_scheduler({"_class_name": "DDPMScheduler", **theirs.config}, "theirs")
    diffusion = DiffusionConfig.model_validate(process.trees["diffusion"])
    levels: Any = build.build_schedule(diffusion)
    torch.testing.assert_close(levels.alpha_bar[1:].float(), theirs.alphas_cumprod, rtol=1e-4, atol=1e-7)
    assert diffusion.variance == "large"


@pytest.mark.parametrize("schedule", ["sigmoid", "cosine"])
def test_our_levels(schedule: Any) -> None:
    diffusion = DiffusionConfig(schedule=schedule, T=200)
    tree = write_scheduler(diffusion, SamplingConfig.of(threshold=0.9, grid="karras"), "DPMSolverMultistep")
    theirs = DPMSolverMultistepScheduler.from_config(tree)
    levels: Any = build.build_schedule(diffusion)
    torch.testing.assert_close(theirs.alphas_cumprod, levels.alpha_bar[1:].float(), rtol=1e-4, atol=1e-7)
    assert (theirs.config.thresholding, theirs.config.use_karras_sigmas) == (True, True)


def test_pndm_of_stable_diffusion() -> None:
    theirs = PNDMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, skip_prk_steps=True, steps_offset=1
    )
    process = read_scheduler({"_class_name": "PNDMScheduler", "clip_sample": False, **theirs.config}, "theirs")
    assert process.trees["diffusion"]["schedule"] == "scaled-linear"
    assert "unipc-2" in process.inferred[0]
