"""Schedulers and runs that the other side cannot express; tests/agreement compares what both can."""

from typing import Any

from cases import cases
from ddpm.config.diffusion import DiffusionConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.exchange.diffusers.scheduler import SOLVERS, read_scheduler, write_scheduler
from refusal import refuses

DDPM: dict[str, Any] = {"_class_name": "DDPMScheduler"}


@cases(
    ("config", "named"),
    [
        ({"_class_name": "LCMScheduler"}, "LCMScheduler"),
        ({**DDPM, "variance_type": "learned"}, "variance_type"),
        ({**DDPM, "variance_type": "learned_range"}, "variance_type"),
        ({**DDPM, "beta_schedule": "laplace"}, "laplace"),
        ({**DDPM, "clip_sample_range": 2.0}, "clip_sample_range"),
        ({**DDPM, "new_option": 1}, "new_option"),
        ({"_class_name": "DPMSolverMultistepScheduler", "use_flow_sigmas": True}, "use_flow_sigmas"),
    ],
)
def test_schedulers_of_theirs(config: dict[str, Any], named: str) -> None:
    with refuses("incompatible", "theirs", named):
        read_scheduler(config, "theirs")


def test_every_class_gives_settings_of_ours() -> None:
    for kind in SOLVERS:
        for name in (f"{kind}Scheduler", f"{kind}DiscreteScheduler"):
            for order in (1, 2, 3):
                found = read_scheduler(
                    {"_class_name": name, "solver_order": order, "num_train_timesteps": 40}, "theirs"
                )
                assert SamplingConfig.model_validate(found.trees["sampling"]).steps <= 40
                assert DiffusionConfig.model_validate(found.trees["diffusion"]).T == 40


@cases(
    ("changes", "named"),
    [
        ({"schedule": "flow", "prediction": "v"}, "flow"),
        ({"schedule": "edm", "prediction": "edm"}, "edm"),
        ({"prediction": "flow"}, "flow"),
        ({"time_scale": 0.25}, "time_scale"),
        ({"variance": "learned"}, "learned"),
    ],
)
def test_processes_of_ours(changes: dict[str, Any], named: str) -> None:
    with refuses("incompatible", "DDIMScheduler", named):
        write_scheduler(DiffusionConfig(**changes), SamplingConfig(), "DDIM")
