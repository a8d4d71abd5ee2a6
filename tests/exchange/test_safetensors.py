from pathlib import Path

import torch
from safetensors import safe_open

from autoencoders import stored
from ddpm.config.run import RunConfig
from ddpm.exchange.export import export
from random_runs import random_run
from refusal import refuses

PLAIN = {"kind": "plain-unet", "width": 8, "multipliers": (1,), "norm_groups": 4, "attention": ("none",)}


def test_one_file_has_weights_and_settings(tmp_path: Path) -> None:
    run = random_run(tmp_path / "run", {**PLAIN, "middle": "none"}, mode="L", codec=stored(tmp_path / "ae"))
    with refuses("invalid", "out.safetensors"):
        export(run, "safetensors", tmp_path / "out")
    export(run, "safetensors", tmp_path / "out.safetensors")
    with safe_open(tmp_path / "out.safetensors", "pt") as file:
        assert RunConfig.from_json(file.metadata()["config"], "out") == run.config
        assert {"codec", "latents"} <= file.metadata().keys()
        for name, tensor in run.engine.model.state_dict().items():
            assert torch.equal(file.get_tensor(name), tensor)
        assert any(name.startswith("codec.net.") for name in file.keys())  # noqa: SIM118
    with refuses("exists", "out.safetensors"):
        export(run, "safetensors", tmp_path / "out.safetensors")
