"""Weights, optimiser state and logs after 64 steps, with each choice of training once."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from golden_cases.digests import pictures, record, tensors
from golden_cases.lab import Lab
from golden_cases.table import Case

LOSSES = ("simple", "vlb", "hybrid")
SCHEDULES = ("linear", "scaled-linear", "cosine", "sigmoid", "vp", "sub-vp", "ve", "edm", "flow")
VARIANCES = ("small", "large", "learned")
PREDICTIONS = ("eps", "x0", "v", "flow", "edm")
WEIGHTINGS = ("simple", "constant", "snr", "truncated-snr", "min-snr", "p2", "edm")
LEVELS = ("uniform", "stratified", "log-normal", "logit-normal", "importance")
LOGGED = ("loss", "grad_norm", "by_level", "frechet", "kid", "mean", "std", "skipped")
"""Numbers of log.jsonl that no clock decides."""

FEW = {"diffusion__T": "16", "sampling__steps": "8"}
"""So few levels that importance sampling has ten losses of each within the run."""
SCORED = {"scoring__every": "256", "scoring__samples": "16", "scoring__steps": "2", "scoring__share": "1"}


def of_loss(loss: str) -> tuple[str, ...]:
    """Flags: the bound and the hybrid loss train a learned variance."""
    return ("--loss", loss) if loss == "simple" else ("--loss", loss, "--variance", "learned")


def of_variance(variance: str) -> tuple[str, ...]:
    """Flags: a learned variance needs a loss with the bound."""
    return of_loss("hybrid") if variance == "learned" else ("--variance", variance)


def enlarging(lab: Lab) -> Path:
    """A run that makes images twice as large."""
    return lab.run("--recipe", "super-resolution", "--scale", "2")


def cases() -> Iterator[Case]:
    """Every choice once."""
    chosen: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {}
    chosen |= {f"loss={name}": (of_loss(name), {}) for name in LOSSES}
    chosen |= {f"schedule={name}": (("--schedule", name), {}) for name in SCHEDULES}
    chosen |= {f"variance={name}": (of_variance(name), {}) for name in VARIANCES}
    chosen |= {f"prediction={name}": (("--prediction", name), {}) for name in PREDICTIONS}
    chosen |= {f"weighting={name}": (("--weighting", name), {}) for name in WEIGHTINGS}
    chosen |= {f"levels={name}": (("--levels", name), FEW if name == "importance" else {}) for name in LEVELS}
    chosen |= {
        "flip": (("--flip",), {}),
        "no-labels": (("--no-labels",), {}),
        "label-dropout": ((), {"training__label_dropout": "0.5"}),
        "zero-terminal-snr": ((), {"diffusion__zero_terminal_snr": "true"}),
        "dropout": ((), {"network__dropout": "0.2"}),
        "scale-shift": ((), {"network__scale_shift": "true"}),
        "patch": ((), {"network__patch": "2", "network__multipliers": "[1]", "network__attention": "[2]"}),
        "weight-decay": ((), {"training__weight_decay": "0.05"}),
        "micro-batch": (("--micro-batch", "3"), {}),
        "workers": (("--workers", "2"), {}),
        "seed": (("--seed", "7"), {}),
        "bf16": (("--precision", "bf16"), {}),
        "during-training": (("--during-training",), SCORED),
    }
    for name, (flags, settings) in chosen.items():
        yield Case(f"train/{name}", partial(_trained, flags=flags, settings=settings))
    for mode in ("L", "RGBA"):
        yield Case(f"train/mode={mode}", partial(_trained, flags=(), settings={}, mode=mode))
    for fit in ("crop", "pad", "stretch"):
        yield Case(f"train/fit={fit}", partial(_trained, flags=("--size", "8x12", "--fit", fit), settings={}, side=16))
    yield Case("train/16x16", partial(_trained, flags=(), settings={}, side=16))
    yield Case("train/super-resolution", lambda lab: _left(enlarging(lab)))
    yield Case("train/interrupted", lambda lab: _weights(lab.interrupted()))
    yield Case("train/classifier", _classifier)


def _trained(
    lab: Lab, *, flags: tuple[str, ...], settings: dict[str, str], mode: str = "RGB", side: int = 8
) -> dict[str, str]:
    return _left(lab.run(*flags, photos=lab.photos(mode, side), **settings))


def _left(run: Path) -> dict[str, str]:
    previews = sorted((run / "previews").glob("*.png"))
    logged = record(run / "log.jsonl", LOGGED)
    return _weights(run) | {"previews": pictures(previews)} | {f"log-{key}": value for key, value in logged.items()}


def _classifier(lab: Lab) -> dict[str, str]:
    folder = lab.classified() / "classifier"
    logged = record(folder / "log.jsonl", LOGGED)
    return _weights(folder) | {f"log-{key}": value for key, value in logged.items()}


def _weights(run: Path) -> dict[str, str]:
    """The published average, and each file of the last checkpoint: raw weights, average, optimiser state."""
    last = max((run / "checkpoints").iterdir())
    files = {"published": run / "model.safetensors"} | {path.stem: path for path in sorted(last.glob("*.safetensors"))}
    return {f"{name}-{kind}": value for name, path in files.items() for kind, value in tensors(path).items()}
