"""What is inferred, and what is refused; the numbers are compared in ``tests/agreement/test_openai.py``."""

import json

import torch

from cases import cases
from ddpm.exchange import openai
from openai_unet import SMALL, make_state, text
from refusal import refuses


def read(tmp_path, changes=None, flags="--image_size 16"):
    torch.save(make_state(SMALL | (changes or {})), tmp_path / "model.pt")
    return openai.read_model(tmp_path / "model.pt", flags)


def test_what_tensors_say_is_said(tmp_path):
    said = "; ".join(read(tmp_path).inferred)
    for name, value in SMALL.items():
        if name not in ("image_size",):
            assert f"{name} is {value}" in said, name


def test_what_no_tensor_says_comes_from_a_file_beside_it_or_a_flag(tmp_path):
    known = {"image_size": 32, "attention_resolutions": "16", "diffusion_steps": 500, "rescale_timesteps": False}
    (tmp_path / "flags.json").write_text(json.dumps(known))
    config = read(tmp_path, flags="--diffusion_steps 100 --use_kl True --sigma_small").config
    assert (config.data.size, config.diffusion.T, config.objective.loss.name) == ((32, 32), 100, "vlb")
    assert config.data.classes == ("0", "1", "2", "3", "4")
    assert config.training.label_dropout == 0


@cases(
    ("flags", "sampling"),
    [
        ("", ("ancestral", 1000, "uniform")),
        ("--timestep_respacing 250", ("ancestral", 250, "uniform")),
        ("--timestep_respacing 250 --use_ddim True", ("ddim", 250, "uniform")),
        ("--timestep_respacing ddim4", ("ddim", 4, (751, 501, 251, 1))),
        ("--timestep_respacing 2,1", ("ancestral", 3, (501, 500, 1))),
    ],
)
def test_sampling(flags, sampling, tmp_path):
    how = read(tmp_path, flags=f"--image_size 16 {flags}").config.sampling
    assert (how.solver.name, how.steps, how.grid) == sampling


@cases(
    ("flags", "code", "named"),
    [
        ("--num_channels 64", "conflict", "--num_channels 32"),
        ("--num_res_blocks 3", "conflict", "--num_res_blocks 1"),
        ("--channel_mult 1,2,4", "conflict", "--channel_mult 1,2"),
        ("--class_cond False", "conflict", "--class_cond True"),
        ("--learn_sigma False", "conflict", "--learn_sigma True"),
        ("--use_scale_shift_norm False", "conflict", "--use_scale_shift_norm True"),
        ("--resblock_updown False", "conflict", "--resblock_updown True"),
        ("--attention_resolutions 16,8", "conflict", "--attention_resolutions 8"),
        ("--num_heads 5", "incompatible", "heads"),
        ("--num_heads 2 --num_heads_upsample 4", "incompatible", "--num_heads_upsample"),
        ("--diffusion_steps 4000", "missing", "--rescale_timesteps"),
        ("--diffusion_steps 0 --rescale_timesteps True", "invalid", "--diffusion_steps"),
        ("--noise_schedule quadratic", "unknown", "quadratic"),
        ("--timestep_respacing fast", "invalid", "fast"),
        ("--timestep_respacing 2000", "invalid", "1000"),
        ("--channel_mult 1-2", "invalid", "1-2"),
        ("--num_head 4", "unknown", "num_heads"),
        ("--large_size 256", "conflict", "--large_size"),
    ],
)
def test_flags_that_do_not_fit(flags, code, named, tmp_path):
    with refuses(code, named):
        read(tmp_path, flags=f"--image_size 16 {flags}")


def test_a_damaged_file_of_flags_is_refused(tmp_path):
    for content, code, named in [("{", "unreadable", "flags.json"), ('{"heads": 2}', "unknown", "heads")]:
        (tmp_path / "flags.json").write_text(content)
        with refuses(code, named):
            read(tmp_path)


@cases(
    ("change", "named"),
    [
        (lambda s: s | {"input_blocks.0.0.weight": torch.ones(32, 5, 3, 3)}, "5 channels"),
        (lambda s: s | {"middle_block.2.out_layers.3.bias": torch.ones(3)}, "middle_block.2.out_layers.3.bias"),
        (lambda s: s | {"encoder.weight": torch.ones(3)}, "encoder.weight"),
        (lambda s: {n: t for n, t in s.items() if n != "out.0.bias"}, "out.0.bias"),
        (lambda s: s | {"time_embed.0.weight": torch.ones(3)}, "axes"),
    ],
)
def test_models_that_differ(change, named, tmp_path):
    torch.save(change(make_state(SMALL)), tmp_path / "model.pt")
    with refuses("incompatible", named):
        openai.read_model(tmp_path / "model.pt", text(SMALL))
