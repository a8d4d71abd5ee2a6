"""How close few evaluations come to the exact solution: ours beside diffusers and k-diffusion.

    pip install --no-deps k-diffusion        # its sampling module alone is used; without it its rows are left out
    python benchmarks/few_steps.py

The data are scikit-learn's 1,797 digits, each the centre of a Gaussian of standard deviation 0.05: the expected image
behind noise is then a formula. The process is linear, T = 1000. From 256 fixed starts, each solver and grid of either
library takes as many steps as so many network calls allow; the error is the root mean square distance of each image
from the reference, averaged over the images, where the reference is Heun's method in 2,000 steps evenly spread in
log-SNR. "Tuned" grids are made for the model (ddpm.sampling.tuning) on 128 other starts.
"""

import argparse
import importlib.util
import json
import os
import platform
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution, version
from itertools import product
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits

from ddpm import build
from ddpm.core import Cond, Denoised, Level, Schedule
from ddpm.core.discrete import linear
from ddpm.core.schedule import level_of
from ddpm.sampling import Solver, steps
from ddpm.sampling.branching import Branching
from ddpm.sampling.shortest import Paths, distance, shortest
from ddpm.sampling.tuning import Way, best, most_calls, screened

COUNTS = (5, 6, 8, 10, 15, 20)
TUNED = (5, 6, 8, 10)
TUNABLE = ("dpm++-2m", "unipc-2", "unipc-3", "deis-3", "ipndm-2", "ipndm-3", "ipndm-4")
STARTS = ("trailing", "uniform", "quadratic", "log-snr", "karras")
STD = 0.05
Rows = dict[str, dict[int, float]]
"""Name of a solver and grid -> evaluations -> error."""


class Digits:
    """The perfect denoiser of digits with a little noise of their own; counts how often it is asked."""

    def __init__(self) -> None:
        pixels = torch.from_numpy(load_digits().data).double()
        self.centres = pixels / 8 - 1  # 0 … 16 -> [-1, 1]
        self.asked = 0
        self.images = 0

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        """(B, 1, 8, 8) at a level of floats."""
        self.asked += 1
        self.images += len(x)
        flat = x.flatten(1).double()
        var = level.alpha**2 * STD**2 + level.sigma**2
        distances = torch.cdist(flat, level.alpha * self.centres).square()
        mean = (-distances / (2 * var)).softmax(1) @ self.centres
        x0 = mean + level.alpha * STD**2 / var * (flat - level.alpha * mean)
        return Denoised(x0.reshape(x.shape).to(x))


def starts(seed: int, n: int = 256) -> torch.Tensor:
    return torch.randn(n, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def solve(denoise: Digits, solver: Solver, grid: list[Level], noise: torch.Tensor) -> torch.Tensor:
    *_, last = steps(denoise, solver, grid, grid[0].sigma * noise, lambda: noise)
    return last.x


def deterministic(schedule: Schedule) -> dict[str, Solver]:
    """All solvers that draw no noise."""
    made = {name: make(partial(level_of, schedule)) for name, make in build.SOLVERS.items()}
    point = torch.full((1, 1, 2, 2), 0.1, dtype=torch.float64)
    found = {}
    for name, solver in made.items():
        drawn: list[int] = []

        def randn(drawn: list[int] = drawn) -> torch.Tensor:
            drawn.append(1)
            return point

        list(steps(lambda x, level, cond: Denoised(x / 2), solver, build.GRIDS["trailing"](schedule, 3), point, randn))
        if not drawn and name != "adaptive":
            found[name] = solver
    return found


def with_evaluations(solver: Solver, grid: Callable[[int], list[Level]], wanted: int) -> list[Level]:
    """The longest grid on which a solver asks no more often than wanted."""
    grids = (grid(n) for n in range(wanted, 0, -1))
    return next(levels for levels in grids if solver.evaluations(levels) <= wanted)


def ours(denoise: Digits, schedule: Schedule, noise: torch.Tensor, end: torch.Tensor) -> Rows:
    rows: Rows = {}
    for (name, solver), (way, grid) in product(deterministic(schedule).items(), build.GRIDS.items()):
        row = rows.setdefault(f"{name}, {way}", {})
        for count in COUNTS:
            levels = with_evaluations(solver, partial(grid, schedule), count)
            denoise.asked = 0
            row[count] = distance(solve(denoise, solver, levels, noise), end)
            assert denoise.asked <= count, (name, way, count, denoise.asked)
    return rows


def tuned(denoise: Digits, schedule: Schedule, noise: torch.Tensor, end: torch.Tensor) -> Rows:
    """Solvers and grids chosen and made on other starts."""
    other = starts(1, 128)
    fine = build.GRIDS["log-snr"](schedule, 60)
    solvers = deterministic(schedule)
    heun = solvers["heun"]
    x, x0 = [fine[0].sigma * other], []
    for step in steps(denoise, heun, fine, x[0], lambda: other):
        x0.append(denoise(x[-1], fine[step.number - 1]).x0)
        x.append(step.x)
    known = Paths(fine, x, x0)
    target = solve(denoise, heun, build.GRIDS["log-snr"](schedule, 1000), other)

    def begun(solver: Solver, n: int) -> Branching:
        return Branching(denoise, solver, x[0][:n], Denoised(x0[0][:n]))

    row: dict[int, float] = {}
    for count in TUNED:
        grids = {way: build.GRIDS[way](schedule, count) for way in STARTS}
        grids["shortest way"] = [fine[i] for i in shortest(known, count)]
        ways = [Way(name, way, partial(begun, solvers[name]), grids[way]) for name, way in product(TUNABLE, grids)]
        denoise.images = 0
        found = best(screened(ways, target), target, partial(level_of, schedule))
        most = most_calls(len(TUNABLE), len(grids), count, len(other))
        assert denoise.images <= most
        print(f"tuned, {count}: {found.way.solver} from {found.way.start}, {denoise.images} of at most {most} calls")
        row[count] = distance(solve(denoise, solvers[found.way.solver], list(found.grid), noise), end)
    return {"tuned": row}


def diffusers_rows(denoise: Digits, schedule: Schedule, noise: torch.Tensor, end: torch.Tensor) -> Rows:
    import diffusers

    diffusers.logging.set_verbosity_error()
    warnings.filterwarnings("ignore")
    common = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
    spaced = [{"timestep_spacing": s} for s in ("linspace", "leading", "trailing")]
    sigmas = [{"use_karras_sigmas": True}, {"use_exponential_sigmas": True}, {"use_beta_sigmas": True}]
    lu = [{"use_lu_lambdas": True}]
    kinds: list[tuple[str, type, list[dict[str, Any]], int]] = [
        ("DDIM", diffusers.DDIMScheduler, [s | {"clip_sample": False, "set_alpha_to_one": True} for s in spaced], 1),
        (
            "UniPC",
            diffusers.UniPCMultistepScheduler,
            _ways(spaced + sigmas, solver_order=(2, 3), solver_type=("bh1", "bh2")),
            1,
        ),
        ("DEIS", diffusers.DEISMultistepScheduler, _ways(spaced + sigmas[:2], solver_order=(2, 3)), 1),
        (
            "DPM++",
            diffusers.DPMSolverMultistepScheduler,
            _ways(
                spaced + sigmas + lu, solver_order=(2, 3), algorithm_type=("dpmsolver++",), euler_at_final=(False, True)
            ),
            1,
        ),
        ("DPM++ single", diffusers.DPMSolverSinglestepScheduler, _ways([{}, *sigmas], solver_order=(2, 3)), 1),
        ("Euler", diffusers.EulerDiscreteScheduler, spaced + sigmas, 1),
        ("Heun", diffusers.HeunDiscreteScheduler, spaced[:1] + sigmas, 2),
        ("PNDM", diffusers.PNDMScheduler, [s | {"skip_prk_steps": True} for s in spaced], 1),
    ]
    rows: Rows = {}
    for name, kind, options, calls in kinds:
        for option in options:
            label = f"{name} {' '.join(f'{k}={v}' for k, v in option.items())}"
            for count in COUNTS:
                scheduler = kind(**common, **option)
                try:
                    denoise.asked = 0
                    found = _diffuse(scheduler, denoise, noise, -(-count // calls))
                except (ValueError, IndexError, RuntimeError):
                    continue
                if denoise.asked <= count and bool(found.isfinite().all()):
                    rows.setdefault(label, {})[count] = distance(found, end)
    return rows


def _ways(spacings: list[dict[str, Any]], **options: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [
        spacing | dict(zip(options, values, strict=True))
        for spacing, values in product(spacings, product(*options.values()))
    ]


def _diffuse(scheduler: Any, denoise: Digits, noise: torch.Tensor, n: int) -> torch.Tensor:
    """diffusers' loop with the perfect denoiser in place of a network that predicts eps."""
    scheduler.set_timesteps(n)
    bar = scheduler.alphas_cumprod.double()
    x = noise * float(getattr(scheduler, "init_noise_sigma", 1.0))
    table = ((1 - bar) / bar).sqrt().log()
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        # timesteps between two of training stand for log sigma between theirs, as diffusers' own tables have it
        low = min(int(float(t)), 998)
        ratio = float(torch.lerp(table[low], table[low + 1], float(t) - low).exp())
        level = Level(float(t), (1 + ratio**2) ** -0.5, ratio * (1 + ratio**2) ** -0.5)
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


def k_diffusion_rows(denoise: Digits, schedule: Schedule, noise: torch.Tensor, end: torch.Tensor) -> Rows:
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

    grids = {
        "karras": lambda n: k.get_sigmas_karras(n, low, high),
        "exponential": lambda n: k.get_sigmas_exponential(n, low, high),
        "uniform": lambda n: _uniform(schedule, n),
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
    for (name, (sampler, count_of)), (way, grid), count in product(single.items(), grids.items(), COUNTS):
        denoise.asked = 0
        found = sampler(model, x, grid(count_of(count)).double(), disable=True)
        if denoise.asked <= count and bool(found.isfinite().all()):
            rows.setdefault(f"{name}, {way}", {})[count] = distance(found, end)
    for count in COUNTS:
        denoise.asked = 0
        found = k.sample_dpm_fast(model, x, low, high, count, disable=True)
        found = model(found, torch.full((1,), low)) if denoise.asked < count else found
        if denoise.asked <= count:
            rows.setdefault("dpm_fast", {})[count] = distance(found, end)
    return rows


def _uniform(schedule: Schedule, n: int) -> torch.Tensor:
    """Sigmas of timesteps evenly spread, as k-diffusion's wrapper of discrete models takes them."""
    places = torch.linspace(schedule.T, 1, n, dtype=torch.float64)
    levels = [schedule.level(float(p)) for p in places]
    return torch.tensor([*(level.sigma / level.alpha for level in levels), 0.0])


def best_of(rows: Rows) -> dict[int, tuple[float, str]]:
    there = {count for row in rows.values() for count in row}
    return {count: min((row[count], name) for name, row in rows.items() if count in row) for count in sorted(there)}


def lines(found: dict[str, Rows]) -> Iterator[str]:
    yield "| evaluations | " + " | ".join(map(str, COUNTS)) + " |"
    yield "|---" * (len(COUNTS) + 1) + "|"
    for library, rows in found.items():
        if rows:
            best = best_of(rows)
            yield f"| {library} | " + " | ".join(f"{best[c][0]:.4f}" if c in best else "" for c in COUNTS) + " |"
            yield "| | " + " | ".join(best[c][1] if c in best else "" for c in COUNTS) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write every error to this JSON file")
    given = parser.parse_args()
    schedule, denoise, noise = linear(1000), Digits(), starts(0)
    print(f"{platform.platform()}, {os.cpu_count()} cores, torch {torch.__version__}, diffusers {version('diffusers')}")
    reference = deterministic(schedule)["heun"]
    end = solve(denoise, reference, build.GRIDS["log-snr"](schedule, 2000), noise)
    found = {
        "ours": ours(denoise, schedule, noise, end),
        "diffusers": diffusers_rows(denoise, schedule, noise, end),
        "k-diffusion": k_diffusion_rows(denoise, schedule, noise, end),
    }
    found["ours, tuned"] = tuned(denoise, schedule, noise, end)
    print("\n".join(lines(found)))
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
