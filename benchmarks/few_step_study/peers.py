"""The solvers of diffusers and k-diffusion, on their own grids and on ours."""

import importlib.util
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from itertools import product
from pathlib import Path
from typing import Any

import torch

from ddpm.core import Level, Schedule

from .digits import Digits, Rows
from .ours import GRIDS

Options = dict[str, Any]


def diffusers_rows(
    denoise: Digits, schedule: Schedule, counts: tuple[int, ...], noise: torch.Tensor, end: torch.Tensor
) -> Rows:
    """Their schedulers of the linear process on their own spacings; those that step through ``sigmas`` on ours too."""
    import diffusers

    diffusers.logging.set_verbosity_error()
    warnings.filterwarnings("ignore")
    common = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
    spaced: list[Options] = [{"timestep_spacing": s} for s in ("linspace", "leading", "trailing")]
    sigmas: list[Options] = [{f"use_{name}_sigmas": True} for name in ("karras", "exponential", "beta")]
    whole: Options = {"clip_sample": False, "set_alpha_to_one": True}
    unipc = _ways(solver_order=(2, 3), solver_type=("bh1", "bh2"))
    dpm = _ways(solver_order=(2, 3), algorithm_type=("dpmsolver++",), euler_at_final=(False, True))
    orders = _ways(solver_order=(2, 3))
    kinds: list[tuple[str, type, list[Options], list[Options], bool]] = [
        ("DDIM", diffusers.DDIMScheduler, spaced, [whole], False),
        ("UniPC", diffusers.UniPCMultistepScheduler, spaced + sigmas, unipc, True),
        ("DEIS", diffusers.DEISMultistepScheduler, spaced + sigmas[:2], orders, False),
        ("DPM++", diffusers.DPMSolverMultistepScheduler, [*spaced, *sigmas, {"use_lu_lambdas": True}], dpm, True),
        ("DPM++ single", diffusers.DPMSolverSinglestepScheduler, [{}, *sigmas], orders, False),
        ("Euler", diffusers.EulerDiscreteScheduler, spaced + sigmas, [{}], True),
        ("Heun", diffusers.HeunDiscreteScheduler, spaced[:1] + sigmas, [{}], False),
        ("PNDM", diffusers.PNDMScheduler, spaced, [{"skip_prk_steps": True}], False),
    ]
    rows: Rows = {}
    for name, kind, spacings, options, takes_ours in kinds:
        ways: list[tuple[Options, str | None]] = [(spacing, None) for spacing in spacings]
        ways += [({}, way) for way in GRIDS] if takes_ours else []
        for (spacing, way), option, count in product(ways, options, counts):
            words = [name, *(f"{k}={v}" for k, v in (spacing | option).items())]
            label = " ".join(words) + (f", {way}" if way else "")
            steps = -(-count // 2) if name == "Heun" else count
            levels = GRIDS[way](schedule, steps) if way else None
            try:
                denoise.asked = 0
                found = _diffuse(kind(**common, **spacing, **option), denoise, noise, steps, levels)
            except (ValueError, IndexError, RuntimeError):
                continue
            if denoise.asked <= count and bool(found.isfinite().all()):
                rows.setdefault(label, {})[count] = denoise.error(found, end)
    return rows


def _ways(**options: tuple[Any, ...]) -> list[Options]:
    return [dict(zip(options, values, strict=True)) for values in product(*options.values())]


def _diffuse(
    scheduler: Any, denoise: Digits, noise: torch.Tensor, n: int, levels: Sequence[Level] | None
) -> torch.Tensor:
    """diffusers' loop with the perfect denoiser in place of a network that predicts eps."""
    scheduler.set_timesteps(n)
    if levels is not None:
        scheduler.sigmas = torch.tensor([level.sigma / level.alpha for level in levels], dtype=torch.float32)
        scheduler.timesteps = torch.tensor([level.t for level in levels[:-1]], dtype=torch.float32)
    bar = scheduler.alphas_cumprod.double()
    x = noise * float(getattr(scheduler, "init_noise_sigma", 1.0))
    table = ((1 - bar) / bar).sqrt().log()
    for i, t in enumerate(scheduler.timesteps):
        seen = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        if levels is None:
            # timesteps between two of training stand for log sigma between theirs, as diffusers' own tables have it
            low = min(int(float(t)), 998)
            ratio = float(torch.lerp(table[low], table[low + 1], float(t) - low).exp())
            level = Level(float(t), (1 + ratio**2) ** -0.5, ratio * (1 + ratio**2) ** -0.5)
        else:
            level = levels[i]
        eps = (seen - level.alpha * denoise(seen, level).x0) / level.sigma
        x = scheduler.step(eps, t, x).prev_sample
    return x


def k_diffusion() -> Any | None:
    """Its sampling module alone: the package imports torchvision and much else."""
    try:
        path = Path(str(distribution("k-diffusion").locate_file("k_diffusion/sampling.py")))
    except PackageNotFoundError:
        return None
    for name in ("torchdiffeq", "torchsde", "k_diffusion", "k_diffusion.utils"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["torchdiffeq"].odeint = None  # type: ignore[attr-defined]
    utils = sys.modules["k_diffusion.utils"]
    utils.append_dims = lambda x, n: x[(...,) + (None,) * (n - x.ndim)]  # type: ignore[attr-defined]
    sys.modules["k_diffusion"].utils = utils  # type: ignore[attr-defined]
    spec = importlib.util.spec_from_file_location("k_diffusion.sampling", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def k_diffusion_rows(
    denoise: Digits, schedule: Schedule, counts: tuple[int, ...], noise: torch.Tensor, end: torch.Tensor
) -> Rows:
    """Its deterministic samplers on its own grids, which go up to level T, and on ours."""
    k = k_diffusion()
    if k is None:
        return {}
    first, last = schedule.level(schedule.T), schedule.level(1)
    high, low = first.sigma / first.alpha, last.sigma / last.alpha
    x = noise * first.sigma / first.alpha

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        ratio = float(sigma[0])
        alpha = (1 + ratio**2) ** -0.5
        return denoise(alpha * x, Level(0.0, alpha, ratio * alpha)).x0

    def ratios(way: str, n: int) -> torch.Tensor:
        return torch.tensor([level.sigma / level.alpha for level in GRIDS[way](schedule, n)], dtype=torch.float64)

    grids: dict[str, Callable[[int], torch.Tensor]] = {
        "its karras": lambda n: k.get_sigmas_karras(n, low, high),
        "its exponential": lambda n: k.get_sigmas_exponential(n, low, high),
        **{way: partial(ratios, way) for way in GRIDS},
    }
    single: dict[str, tuple[Callable[..., torch.Tensor], Callable[[int], int]]] = {
        "euler": (k.sample_euler, lambda n: n),
        "heun": (k.sample_heun, lambda n: (n + 1) // 2),
        "dpm_2": (k.sample_dpm_2, lambda n: (n + 1) // 2),
        "lms": (k.sample_lms, lambda n: n),
        "dpmpp_2m": (k.sample_dpmpp_2m, lambda n: n),
        "dpmpp_2s": (partial(k.sample_dpmpp_2s_ancestral, eta=0.0), lambda n: (n + 1) // 2),
        "dpmpp_2m_sde eta=0": (partial(k.sample_dpmpp_2m_sde, eta=0.0, noise_sampler=lambda *a: 0), lambda n: n),
        "dpmpp_3m_sde eta=0": (partial(k.sample_dpmpp_3m_sde, eta=0.0, noise_sampler=lambda *a: 0), lambda n: n),
    }
    rows: Rows = {}
    for (name, (sampler, count_of)), (way, grid), count in product(single.items(), grids.items(), counts):
        denoise.asked = 0
        found = sampler(model, x, grid(count_of(count)).double(), disable=True)
        if denoise.asked <= count and bool(found.isfinite().all()):
            rows.setdefault(f"{name}, {way}", {})[count] = denoise.error(found, end)
    for count in counts:
        denoise.asked = 0
        found = k.sample_dpm_fast(model, x, low, high, count, disable=True)
        found = model(found, torch.full((1,), low)) if denoise.asked < count else found
        if denoise.asked <= count:
            rows.setdefault("dpm_fast", {})[count] = denoise.error(found, end)
    return rows
