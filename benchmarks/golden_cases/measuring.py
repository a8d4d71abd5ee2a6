"""Numbers in the records of evaluations, likelihoods, sweeps and tuning."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from golden_cases.digests import digest, record
from golden_cases.drawing import SOLVERS
from golden_cases.lab import Lab
from golden_cases.table import Case
from golden_cases.training import enlarging, of_variance

SCORES = (
    *("frechet", "kid", "precision", "recall", "density", "coverage", "accuracy"),
    *("colour", "memorisation", "psnr", "ssim", "lpips", "consistency"),
)
BITS = ("mean", "stderr", "prior", "kl", "decoder", "bits", "x0_mse", "calls")
SWEPT = ("distance", "frechet", "evaluations")
TUNED = ("grid", "tuned", "untuned", "distance", "timesteps")
FEW = ("-n", "32", "--steps", "2")
SCORED: Mapping[str, tuple[str, ...]] = {
    "plain": FEW,
    "guidance=1": (*FEW, "--guidance", "1"),
    "guidance=3": (*FEW, "--guidance", "3"),
    "ancestral": (*FEW, "--solver", "ancestral", "--batch", "10", "--seed", "3"),
    "several": ("-n", "16", "--steps", "1,2", "--checkpoints"),
}
BOUND: Mapping[str, tuple[str, ...]] = {
    "steps": ("--steps", "10"),
    "terms": ("--steps", "10", "--terms", "3"),
    "labels": ("--steps", "10", "--labels"),
    "no-clip": ("--steps", "10", "--no-clip"),
    "data": ("--steps", "5", "--data", "DATA", "-n", "20", "--batch", "7", "--seed", "2"),
    "ode": ("--method", "ode"),
}
DETERMINISTIC = [name for name in SOLVERS if name not in ("langevin", "adaptive") and "ancestral" not in name]


def cases() -> Iterator[Case]:
    """Every way of measuring, on a copy of a run each, as records are kept in it."""
    for name, flags in SCORED.items():
        yield Case(f"evaluate/{name}", partial(_scored, flags=flags))
    yield Case("evaluate/no-labels", lambda lab: _scored(lab, flags=FEW, run=lab.run("--no-labels")))
    yield Case("evaluate/super-resolution", _enlarged)
    yield Case("evaluate/folder", _folder)
    for name, flags in BOUND.items():
        yield Case(f"bits/{name}", partial(_bits, flags=flags))
    yield Case("bits/learned", lambda lab: _bits(lab, flags=("--steps", "10"), run=lab.run(*of_variance("learned"))))
    yield Case("bits/edm", lambda lab: _bits(lab, flags=("--steps", "10"), run=lab.run("--schedule", "edm")))
    solvers = ("--solvers", ",".join(DETERMINISTIC))
    yield Case("sweep/solvers", partial(_swept, flags=(*solvers, "--steps", "3,5", "--samples", "0")))
    grids = ("--grids", "leading,quadratic,log-snr,karras,beta")
    yield Case("sweep/grids", partial(_swept, flags=("--solvers", "ddim", "--steps", "3", *grids, "--samples", "0")))
    scales = ("--guidance", "1,3", "--samples", "16")
    yield Case("sweep/guidance", partial(_swept, flags=("--solvers", "ddim,ancestral", "--steps", "3", *scales)))
    yield Case("tune", _tuned)


def _scored(lab: Lab, *, flags: tuple[str, ...], run: Path | None = None) -> dict[str, str]:
    return _records(lab, "evaluate", run or lab.run(), SCORES, *flags)


def _enlarged(lab: Lab) -> dict[str, str]:
    """Large images held against those that the small ones were made of."""
    return _scored(lab, flags=(*FEW, "--data", str(lab.photos())), run=enlarging(lab))


def _folder(lab: Lab) -> dict[str, str]:
    """Samples in a folder, held against the training images."""
    out = lab.out("folder")
    lab.cli("sample", lab.run(), "-n", 16, "--steps", 2, "--out", out)
    (out / "grid.png").unlink()
    score = lab.home / "score.json"
    lab.cli("evaluate", out, "--data", lab.photos(), "--out", score)
    return record(score, SCORES)


def _bits(lab: Lab, *, flags: tuple[str, ...], run: Path | None = None) -> dict[str, str]:
    words = (flag.replace("DATA", str(lab.photos())) for flag in flags)
    return _records(lab, "likelihood", run or lab.run(), BITS, *words)


def _swept(lab: Lab, *, flags: tuple[str, ...]) -> dict[str, str]:
    out = lab.out("swept")
    lab.cli("sweep", lab.run(), *flags, "-n", 2, "--out", out)
    return record(out / "sweep.json", SWEPT)


def _tuned(lab: Lab) -> dict[str, str]:
    """The grids found, and what is drawn by them once they are there."""
    own = lab.own(lab.run(), "tuned")
    before = {path: path.read_bytes() for path in own.glob("*.json")}
    lab.cli("tune", own, "--steps", "3,4", "-n", 4, "--solvers", "dpm++-2m,unipc-2,ipndm-2")
    [tuned] = (path for path in own.glob("*.json") if before.get(path) != path.read_bytes())
    return record(tuned, TUNED)


def _records(lab: Lab, command: str, run: Path, keys: tuple[str, ...], *flags: str) -> dict[str, str]:
    """Measure a copy of a run, and hash the numbers of the records that it leaves, in no particular order."""
    own = lab.own(run, "evaluated")
    before = set(own.rglob("*.json"))
    lab.cli(command, own, *flags)
    left = [record(path, keys) for path in own.rglob("*.json") if path not in before]
    if not left:
        raise FileNotFoundError("no record")
    return {
        key: digest(sorted(one[key].encode() for one in left if key in one))
        for key in keys
        if any(key in one for one in left)
    }
