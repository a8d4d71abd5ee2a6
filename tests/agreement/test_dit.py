"""An imported DiT says what a network written out here says on the same weights."""

import pytest
import torch
from diffusers import AutoencoderKL

import ddpm
from cases import cases
from ddpm.exchange import dit
from ddpm.exchange.correspondence import write
from ddpm.exchange.dit import table
from published_dit import forward, make_state
from refusal import refuses


@torch.no_grad()
def test_output(tmp_path):
    state = make_state()
    torch.save(state, tmp_path / "dit.pt")
    assert dit.recognises(tmp_path / "dit.pt")
    found = dit.read_model(tmp_path / "dit.pt", "--num_heads 2")
    found.write(tmp_path / "run")
    model = ddpm.load(tmp_path / "run", "cpu").run.engine.model
    x, t = torch.randn(2, 3, 8, 8), torch.tensor([0, 999])
    for labels in ([0, 2], [1, 3]):  # 3 is the null label
        y = torch.tensor(labels)
        mine = model.net(x, t.float(), model.cond({"label": y}, 2))
        torch.testing.assert_close(mine, forward(state, 2, x, t, y), rtol=1e-5, atol=1e-5)
    back = write(table(found.config.network), found.weights)
    assert back.keys() | {"pos_embed"} == state.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in back.items())


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vae")
    small = {"block_out_channels": (4, 4), "norm_num_groups": 2, "latent_channels": 4, "sample_size": 16}
    types = {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    AutoencoderKL(**small, **types).save_pretrained(folder)
    return folder


def test_latents(vae, tmp_path):
    torch.save(make_state(channels=4, out=8), tmp_path / "dit.pt")
    found = dit.read_model(tmp_path / "dit.pt", f"--num_heads 2 --vae {vae} --num_sampling_steps 2")
    found.write(tmp_path / "run")
    pipe = ddpm.load(tmp_path / "run", "cpu")
    assert pipe.classes == ("0", "1", "2")
    assert pipe.config.sampling.words == "ancestral, 2 steps, uniform grid, guidance 4"
    assert pipe.sample(1, label="1")[0].size == (16, 16)


@cases(
    ("changes", "flags", "code", "named"),
    [
        ({"channels": 4, "out": 8}, "--num_heads 2", "missing", "--vae"),
        ({}, "", "missing", "--num_heads"),
        ({}, "--num_heads 2 --model DiT-XL/2", "conflict", "DiT-XL/2"),
        ({}, "--num_heads 2 --image_size 16", "conflict", "16"),
        ({}, "--num_heads 2 --num_classes 1000", "conflict", "1000"),
        ({}, "--num_heads 3", "incompatible", "heads"),
        ({}, "--num_heads 2 --vae nowhere", "missing", "nowhere"),
    ],
)
def test_what_is_refused(changes, flags, code, named, tmp_path):
    torch.save(make_state(**changes), tmp_path / "dit.pt")
    with refuses(code, named):
        dit.read_model(tmp_path / "dit.pt", flags)


def test_trained_positions_are_refused(tmp_path):
    state = make_state()
    torch.save(state | {"pos_embed": state["pos_embed"] + 0.01}, tmp_path / "dit.pt")
    with refuses("incompatible", "pos_embed"):
        dit.read_model(tmp_path / "dit.pt", "--num_heads 2")
