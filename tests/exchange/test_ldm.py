"""Single files of Stable Diffusion 1, in CompVis' layout."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

import ddpm
from ddpm.core.discrete import scaled_linear
from ddpm.exchange.autoencoder import AutoencoderTable
from ddpm.exchange.correspondence import write
from ddpm.exchange.diffusers import stable_diffusion
from ddpm.exchange.imported import Imported
from ddpm.exchange.ldm import read_model, recognises
from ddpm.exchange.ldm.first_stage import LAYOUT
from ddpm.exchange.ldm.unet import table
from pipelines import PROMPT, saved, unet, vae
from refusal import refuses
from text_encoders import clip_tokenizer

Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of diffusers with the numbers of groups and the widths of heads that CompVis' code always has."""
    tokenizer = clip_tokenizer(model_max_length=12)
    torch.manual_seed(0)
    settings = {"vocab_size": len(tokenizer), "max_position_embeddings": 24, "intermediate_size": 48}
    encoder = CLIPTextModel(CLIPTextConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=1, **settings))
    parts = {
        "unet": unet(block_out_channels=(32, 64), cross_attention_dim=64, attention_head_dim=8, norm_num_groups=32),
        "vae": vae(block_out_channels=(32, 64, 64), norm_num_groups=32),
        "text_encoder": encoder,
    }
    return saved(tmp_path_factory.mktemp("ldm"), **parts)


@pytest.fixture(scope="module")
def folder(pipeline: Path) -> Imported:
    """The same, imported."""
    return stable_diffusion.read_model(pipeline, None)


@pytest.fixture(scope="module")
def file(pipeline: Path, folder: Imported) -> Tensors:
    """Its tensors as CompVis' code saves them."""
    assert folder.codec is not None
    network: Any = folder.config.network
    weights = {name.removeprefix("net."): tensor for name, tensor in folder.weights.items() if name.startswith("net.")}
    found = {
        f"model.diffusion_model.{name}": tensor
        for name, tensor in write(table(network, weights, linear=False), weights).items()
    }
    first: Any = folder.codec.config.network
    weights = {name.removeprefix("net."): tensor for name, tensor in folder.codec.weights.items()}
    for name, tensor in write(AutoencoderTable(first, LAYOUT), weights).items():
        found[f"first_stage_model.{name}"] = tensor
    text = CLIPTextModel.from_pretrained(pipeline / "text_encoder").state_dict()
    for name, tensor in text.items():
        found[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    found["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(24)[None]
    alpha_bar = scaled_linear().alpha_bar
    return found | {"betas": (1 - alpha_bar[1:] / alpha_bar[:-1]).float(), "alphas_cumprod": alpha_bar[1:].float()}


def under(tensors: Tensors, prefix: str) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def flags(pipeline: Path, more: str = "") -> str:
    return f"--tokenizer {pipeline} --image_size 32 {more}"


def same(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_names_are_those_that_diffusers_reads(pipeline: Path, file: Tensors) -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel

    theirs = UNet2DConditionModel.from_pretrained(pipeline / "unet")
    assert same(convert_ldm_unet_checkpoint(dict(file), dict(theirs.config)), theirs.state_dict())
    theirs = AutoencoderKL.from_pretrained(pipeline / "vae")
    found = convert_ldm_vae_checkpoint(under(file, "first_stage_model."), dict(theirs.config))
    expected = theirs.state_dict()
    assert same({name: tensor.reshape(expected[name].shape) for name, tensor in found.items()}, expected)


def test_a_file_is_the_same_run_as_the_folder(pipeline: Path, folder: Imported, file: Tensors, tmp_path: Path) -> None:
    save_file(file, tmp_path / "sd.safetensors")
    assert recognises(tmp_path / "sd.safetensors")
    assert not recognises(pipeline)
    found = read_model(tmp_path / "sd.safetensors", flags(pipeline))
    assert found.codec is not None
    assert folder.codec is not None
    assert same(found.weights, folder.weights)
    assert found.codec.hash == folder.codec.hash
    ours, theirs = found.config.model_dump(), folder.config.model_dump()
    for config in (ours, theirs):
        del config["sampling"]
        config["request"] = config["codec"]["source"] = config["text"]["weights"] = None
    assert ours == theirs
    assert any("8 attention heads" in line for line in found.inferred)
    found.write(tmp_path / "run")
    assert ddpm.load(tmp_path / "run", "cpu").sample(1, prompt=PROMPT, steps=1)[0].size == (32, 32)


def test_a_checkpoint_has_its_weights_averaged(pipeline: Path, folder: Imported, file: Tensors, tmp_path: Path) -> None:
    averages = {
        f"model_ema.{name.removeprefix('model.').replace('.', '')}": tensor + 1
        for name, tensor in under(file, "model.diffusion_model.").items()
    }
    state = {**file, **averages, "model_ema.decay": torch.tensor(0.999), "model_ema.num_updates": torch.tensor(3)}
    torch.save(
        {"state_dict": state, "global_step": 7, "optimizer_states": [{"exp_avg": torch.ones(2)}]}, tmp_path / "sd.ckpt"
    )
    assert recognises(tmp_path / "sd.ckpt")
    last = read_model(tmp_path / "sd.ckpt", flags(pipeline, "--weights model"))
    average = read_model(tmp_path / "sd.ckpt", flags(pipeline))
    assert same(last.weights, folder.weights)
    key = "net.conv_out.bias"
    assert torch.equal(average.weights[key], folder.weights[key] + 1)


def test_what_is_missing_or_of_another_model_is_named(pipeline: Path, file: Tensors, tmp_path: Path) -> None:
    path = tmp_path / "sd.safetensors"

    def refused(tensors: Tensors, code: Any, *named: str, given: str | None = flags(pipeline)) -> None:
        save_file(tensors, path)
        with refuses(code, *named):
            read_model(path, given)

    refused(file, "missing", "--tokenizer FOLDER", given=None)
    refused(file, "missing", "--weights ema", given=flags(pipeline, "--weights ema"))
    refused(file, "unknown", "parameterization", given=flags(pipeline, "--parameterization flow"))
    refused(file, "invalid", "image_size 30", given=f"--tokenizer {pipeline} --image_size 30")
    refused(file, "missing", str(tmp_path), given=f"--tokenizer {tmp_path}")
    refused(file | {"first_stage_model.loss.logvar": torch.zeros(1)}, "incompatible", "first_stage_model.loss.logvar")
    refused({n: t for n, t in file.items() if "out.2.bias" not in n}, "incompatible", "out.2.bias")
    refused(file | {"conditioner.embedders.0.x": torch.zeros(1)}, "incompatible", "Stable Diffusion XL")
    refused(file | {"cond_stage_model.model.x": torch.zeros(1)}, "incompatible", "Stable Diffusion 2")
    refused({n: t for n, t in file.items() if "cond_stage" not in n}, "incompatible", "text encoder")
