"""Imported models of OpenAI's programs say what a network written out here says on the same weights."""

import json

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import ddpm
from cases import cases
from ddpm.engine import classifier
from ddpm.exchange import openai, openai_classifier
from ddpm.exchange.correspondence import write
from ddpm.exchange.fitted import empty
from ddpm.exchange.openai_unet import table
from ddpm.records.run_folder import RunFolder
from openai_unet import CLASSES, CLASSIFIER, SMALL, forward, make_state, text

VARIANTS = {
    "guided-diffusion": {},
    "no classes": {"class_cond": False},
    "new attention order": {"use_new_attention_order": True},
    "head channels": {"num_head_channels": 16, "channel_mult": "1,3", "attention_resolutions": "16,8"},
    "no scale-shift": {"use_scale_shift_norm": False},
    "convolutions between levels": {"resblock_updown": False},
    "nothing between levels": {"resblock_updown": False, "conv_resample": False},
    "fixed variance": {"learn_sigma": False},
    "more of everything": {"num_res_blocks": 2, "channel_mult": "1,2,2", "attention_resolutions": "8,4"},
    "a single level": {"channel_mult": "1", "attention_resolutions": "16"},
}


def saved(tmp_path, changes):
    flags = SMALL | changes
    state = make_state(flags)
    torch.save(state, tmp_path / "model.pt")
    typed = {name: value for name, value in flags.items() if name != "conv_resample"}
    return flags, state, openai.read_model(tmp_path / "model.pt", text(typed))


@torch.no_grad()
@cases(("name", "changes"), list(VARIANTS.items()))
def test_output(name, changes, tmp_path):
    flags, state, found = saved(tmp_path, changes)
    found.write(tmp_path / name)
    model = ddpm.load(tmp_path / name, "cpu").run.engine.model
    x, t, y = torch.randn(2, 3, 16, 16), torch.tensor([0, 999]), torch.tensor([1, CLASSES - 1])
    expected = forward(state, flags, x, t, y)
    assert expected.std() > 0.1
    mine = model.net(x, t.float(), model.cond({"label": y}, 2))
    torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-5)
    pairs = table(found.config.network, empty(found.config), new_order=flags["use_new_attention_order"])
    back = write(pairs, found.weights)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in state.items())


@torch.no_grad()
@cases(
    ("name", "changes"),
    [
        ("attention", {}),
        ("average", {"pool": "adaptive", "num_res_blocks": 2}),
        ("convolutions between levels", {"resblock_updown": False, "use_scale_shift_norm": False}),
        ("more of everything", {"num_res_blocks": 3, "channel_mult": "1,1,2", "attention_resolutions": "8,4"}),
    ],
)
def test_classifier(name, changes, tmp_path):
    run = tmp_path / name
    saved(tmp_path, {})[2].write(run)
    flags = CLASSIFIER | changes
    state = make_state(flags)
    torch.save(state, tmp_path / "classifier.pt")
    found = openai_classifier.read_classifier(tmp_path / "classifier.pt", None, RunFolder(run))
    folder = found.write(run / "classifier")
    net = classifier.read(folder, torch.device("cpu")).model.net
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([0, 999])
    expected = forward(state, flags, x, t, t)
    assert expected.std() > 0.05
    torch.testing.assert_close(net(x, t.float()), expected, rtol=1e-5, atol=1e-5)


def cosine_alpha_bar(T):
    u = np.arange(T + 1) / T
    curve = np.cos((u + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.cumprod(1 - np.minimum(1 - curve[1:] / curve[:-1], 0.999))


@torch.no_grad()
@cases("predict_xstart", [False, True])
def test_process_of_improved_diffusion(predict_xstart, tmp_path):
    """Cosine, T = 4000, t rescaled to 1000: the estimate of x0 and its learned variance."""
    flags = SMALL | {"diffusion_steps": 4000, "noise_schedule": "cosine", "rescale_timesteps": True}
    flags |= {"predict_xstart": predict_xstart, "class_cond": False}
    (tmp_path / "flags.json").write_text(json.dumps(flags))
    state = make_state(flags)
    torch.save(state, tmp_path / "ema_0.9999_500000.pt")
    found = openai.read_model(tmp_path / "ema_0.9999_500000.pt", "--timestep_respacing 50")
    assert (found.config.sampling.solver.name, found.config.sampling.steps) == ("ancestral", 50)
    out = tmp_path / str(predict_xstart)
    found.write(out)
    engine = ddpm.load(out, "cpu").run.engine
    x, alpha_bar = torch.randn(2, 3, 16, 16), cosine_alpha_bar(4000)
    for t in (0, 1500, 3900):
        output, v = forward(state, flags, x, torch.full((2,), t * 1000 / 4000), torch.zeros(2)).chunk(2, dim=1)
        a = float(alpha_bar[t])
        expected = output if predict_xstart else (x - (1 - a) ** 0.5 * output) / a**0.5
        denoised = engine.model.denoiser(engine.parameterisation)(x, engine.schedule.level(t + 1))
        torch.testing.assert_close(denoised.x0, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(denoised.var_mix, (v + 1) / 2, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_super_resolution(tmp_path):
    """The small image is enlarged bilinearly, as a second image of the network's input."""
    flags = SMALL | {"out_channels": 3}
    state = make_state(flags, channels=6)
    torch.save(state, tmp_path / "model.pt")
    typed = {name: value for name, value in SMALL.items() if name != "image_size"}
    found = openai.read_model(tmp_path / "model.pt", text(typed | {"large_size": 16, "small_size": 4}))
    found.write(tmp_path / "run")
    run = ddpm.load(tmp_path / "run", "cpu")
    assert (run.config.shape, run.config.upscaling.scale) == ((3, 16, 16), 4)
    x, y, t = torch.randn(2, 3, 16, 16), torch.tensor([1, 4]), torch.tensor([3, 700])
    low = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)
    enlarged = F.interpolate(low.permute(0, 3, 1, 2) / 127.5 - 1, (16, 16), mode="bilinear")
    expected = forward(state, flags, torch.cat([x, enlarged], dim=1), t, y)
    model = run.run.engine.model
    mine = model.net(x, t.float(), model.cond({"label": y, "low_resolution": low}, 2))
    torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-5)
    small = Image.fromarray(low[0].numpy())
    assert run.upscale(small, label="1", steps=2).size == (16, 16)
