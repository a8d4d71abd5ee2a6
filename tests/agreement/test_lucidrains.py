"""An imported model says and draws what it does in lucidrains' denoising-diffusion-pytorch.

The package made the file: Unet and GaussianDiffusion of small sizes, random everywhere, with one forward pass and
``sample(2)`` on recorded noise.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

import ddpm
from cases import cases
from ddpm.exchange import lucidrains
from ddpm.exchange.correspondence import write
from ddpm.exchange.imported import Imported
from ddpm.exchange.lucidrains_unet import table
from ddpm.sampling.follow import follow
from lucidrains_states import made, trainers_file

FLAGS = {"v": "--sampling_timesteps 6", "x0": "--sampling_timesteps=10 --ddim_sampling_eta 0.5", "eps": ""}
"""The cases, and what their states do not say: the last one draws an ancestral step at each level."""
PREDICTIONS = {"v": ("sigmoid", "v", "snr"), "x0": ("cosine", "x0", "min-snr"), "eps": ("linear", "eps", "snr")}


def imported(case: str, folder: Path) -> Imported:
    path = trainers_file(folder / f"model-{case}.pt", made(case, "state"))
    assert lucidrains.recognises(path)
    return lucidrains.read_model(path, f"--image_size 8x12 {FLAGS[case]}")


@torch.no_grad()
@cases("case", list(FLAGS))
def test_output_and_samples(case, tmp_path):
    found, expected = imported(case, tmp_path), made(case, "expected")
    config = found.config
    named = config.diffusion.schedule, config.diffusion.prediction, config.objective.weighting.name
    assert named == PREDICTIONS[case]
    found.write(tmp_path / case)
    engine, how = ddpm.load(tmp_path / case, "cpu").run.engine, config.sampling
    output = engine.model.net(expected["x"], expected["t"].float())
    torch.testing.assert_close(output, expected["output"], rtol=1e-5, atol=1e-5)
    x, *drawn = expected["noise"]
    noise = iter([*drawn, torch.zeros_like(x)])  # at the last step, theirs draws none
    for moment in follow(engine.denoiser(how), engine.solver(how), engine.grid(how), x, lambda: next(noise)):
        x = moment.x
    # theirs are in [0, 1]
    torch.testing.assert_close(0.5 * (x + 1), expected["samples"], rtol=0, atol=1e-4)


def test_states_of_each_class(tmp_path):
    """The Trainer's, of GaussianDiffusion and of Unet: the same weights."""
    whole = {name.removeprefix("ema_model."): tensor for name, tensor in made("v", "state").items()}
    net = {name.removeprefix("model."): tensor for name, tensor in whole.items() if name.startswith("model.")}
    expected = imported("v", tmp_path)
    for name, state in (("whole", whole), ("net", net)):
        save_file(state, tmp_path / f"{name}.safetensors")
        flags = "--image_size 8x12 --sampling_timesteps 6" + " --timesteps 20" * (name == "net")
        found = lucidrains.read_model(tmp_path / f"{name}.safetensors", flags)
        assert all(torch.equal(found.weights[name], weight) for name, weight in expected.weights.items())
        assert found.config.diffusion == expected.config.diffusion


def test_weights_survive_both_ways(tmp_path):
    for case in FLAGS:
        found = imported(case, tmp_path)
        back = write(table(found.config.network), found.weights)
        state = made(case, "state")
        assert {f"ema_model.model.{name}" for name in back} == {n for n in state if n.startswith("ema_model.model.")}
        assert all(torch.equal(state[f"ema_model.model.{name}"], tensor) for name, tensor in back.items())
