from pathlib import Path

from safetensors.numpy import load_file

from cases import cases
from ddpm.exchange.respacing import kept_timesteps

MADE = load_file(Path(__file__).parents[1] / "agreement" / "data" / "guided-diffusion-tables.safetensors")


@cases(("spacing", "name"), [("", "full"), ("50", "50"), ("ddim25", "ddim25"), ("10,15,20", "sect")])
def test_timesteps_of_guided_diffusion(spacing, name):
    assert kept_timesteps(1000, spacing) == MADE[f"{name}.timesteps"].tolist()
