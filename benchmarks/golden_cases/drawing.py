"""Pictures that runs draw: samples by every option, and given pictures that are changed."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from golden_cases.digests import numbered, pictures
from golden_cases.lab import Lab
from golden_cases.table import Case
from golden_cases.training import PREDICTIONS, SCHEDULES, VARIANCES, enlarging, of_variance

SOLVERS = (
    *("ddim", "ancestral", "ancestral-small", "ancestral-large", "euler", "euler-ancestral", "heun", "edm"),
    *("dpm-solver-1", "dpm-solver-2", "dpm-solver-3", "dpm++-1s", "dpm++-2s", "langevin", "adaptive"),
    *("dpm++-2m", "dpm++-3m", "dpm++-3m-exact", "sde-dpm++-2m", "sde-dpm++-3m", "unipc-1", "unipc-2", "unipc-3"),
    *("unipc-1-bh1", "unipc-2-bh1", "unipc-3-bh1", "deis-1", "deis-2", "deis-3"),
    *("ipndm-1", "ipndm-2", "ipndm-3", "ipndm-4"),
)
GRIDS = ("uniform", "linspace", "leading", "trailing", "quadratic", "power", "log-snr", "exponential", "karras", "beta")
GUIDED = ("--guidance", "3")
STRONG = ("--guidance", "60")
"""So much that images are clipped."""
SAMPLED: Mapping[str, tuple[str, ...]] = {
    "grid=listed": ("--grid", "1000,700,400,99.5"),
    "eta=0.5": ("--solver", "ddim", "--eta", "0.5"),
    "eta=1": ("--solver", "ddim", "--eta", "1"),
    "eta-euler-ancestral": ("--solver", "euler-ancestral", "--eta", "0.5"),
    "churn": ("--solver", "edm", "--churn", "1"),
    "tolerance": ("--solver", "adaptive", "--tolerance", "0.3"),
    "temperature": ("--solver", "ancestral", "--temperature", "0.7"),
    "temperature-sde": ("--solver", "sde-dpm++-2m", "--temperature", "0.7"),
    "guidance=0": ("--guidance", "0"),
    "guidance=1": ("--guidance", "1"),
    "guidance=3": GUIDED,
    "guidance=60": STRONG,
    "negative": (*GUIDED, "--negative", "square"),
    "interval": (*GUIDED, "--guidance-interval", "0.2", "5"),
    "rescale": (*GUIDED, "--guidance-rescale", "0.7"),
    "parallel": (*GUIDED, "--guidance-parallel", "0"),
    "norm": (*GUIDED, "--guidance-norm", "0.02"),
    "all-of-guidance": (
        *(*GUIDED, "--negative", "square", "--guidance-interval", "0.2", "5"),
        *("--guidance-rescale", "0.7", "--guidance-parallel", "0.5", "--guidance-norm", "2"),
    ),
    "guide-with": (*GUIDED, "--guide-with", "step-000000032"),
    "threshold": ("--threshold", "0.9", *STRONG),
    "no-clip": ("--no-clip", *STRONG),
    "size": ("--size", "12x20"),
    "size-whole": ("--size", "12x20", "--whole"),
    "size-ancestral": ("--size", "12x20", "--solver", "ancestral"),
    "batch=1": ("--batch", "1"),
    "batch=3": ("--batch", "3", "--solver", "ancestral"),
    "bf16": ("--precision", "bf16"),
    "seed": ("--seed", "5"),
}
"""Flags of ``ddpm sample`` with a label."""
CLASSIFIED: Mapping[str, tuple[str, ...]] = {
    "score": ("--classifier", "20"),
    "mean": ("--classifier", "20", "--classifier-form", "mean", "--solver", "ancestral"),
    "interval": ("--classifier", "20", "--guidance-interval", "0.2", "5"),
    "and-guidance": ("--classifier", "20", *GUIDED),
}
WAYS: Mapping[str, tuple[str, ...]] = {
    "mmps": ("--method", "mmps"),
    "ddnm": ("--method", "ddnm"),
    "repaint": ("--repaint", "2x2"),
}
"""Of filling in."""
STEPS = ("--steps", "7")


def cases() -> Iterator[Case]:
    """Samples, and given pictures."""
    yield from _samples()
    yield from _given()


def _samples() -> Iterator[Case]:
    label = ("--label", "circle")
    for solver in SOLVERS:
        yield _sample(f"solver={solver}", "--solver", solver, *label)
    for grid in GRIDS:
        yield _sample(f"grid={grid}", "--grid", grid, *label)
    for name, flags in SAMPLED.items():
        steps = () if name == "grid=listed" else STEPS
        yield Case(f"sample/{name}", partial(_drawn, flags=(*label, *steps, *flags)))
    yield _sample("no-label")
    yield _sample("labels", "--label", "star", "--label", "0")
    yield Case("sample/own-settings", partial(_drawn, flags=()))
    for name, flags in CLASSIFIED.items():
        yield Case(f"sample/classifier-{name}", partial(_classified, flags=(*label, *STEPS, *flags)))
    for schedule in SCHEDULES:
        for solver in ("unipc-2", "ancestral", "edm", "dpm-solver-2"):
            yield _of_run(f"{schedule}-{solver}", ("--schedule", schedule), ("--solver", solver))
    for prediction in PREDICTIONS:
        yield _of_run(f"prediction={prediction}", ("--prediction", prediction))
    for variance in VARIANCES:
        yield _of_run(f"variance={variance}", of_variance(variance), ("--solver", "ancestral"))
    for mode in ("L", "RGBA"):
        yield _of_run(f"mode={mode}", mode=mode)
    yield Case("sample/checkpoint", _checkpoint)
    yield Case("sample/from", _again)
    yield Case("sample/trajectory", _trajectory)
    yield Case("sample/then", _cascade)
    yield Case("plot/trajectory", partial(_plot, words=("trajectory",), flags=("-n", "2")))
    yield Case("plot/schedule", partial(_plot, words=("schedule",), flags=()))


def _given() -> Iterator[Case]:
    for name, flags in WAYS.items():
        yield _edited(f"inpaint/{name}", "inpaint", "--mask", "MASK", *flags)
        yield _edited(f"outpaint/{name}", "outpaint", "--left", "2", "--bottom", "4", *flags)
    yield _edited("inpaint/guided", "inpaint", "--mask", "MASK", *GUIDED)
    yield _edited("inpaint/ancestral", "inpaint", "--mask", "MASK", "--solver", "ancestral")
    yield _edited("inpaint/large", "inpaint", "--mask", "MASK", size=(12, 16))
    yield _edited("inpaint/large-whole", "inpaint", "--mask", "MASK", "--whole", size=(12, 16))
    yield _edited("inpaint/fit", "inpaint", "--mask", "MASK", "--fit", "crop", size=(12, 16))
    for strength in ("0", "0.3", "0.6", "1"):
        yield _edited(f"edit/strength={strength}", "edit", "--strength", strength)
    yield _edited("edit/heun", "edit", "--strength", "0.6", "--solver", "heun")
    yield _edited("edit/large", "edit", "--strength", "0.6", size=(12, 16))
    for method in ("mmps", "ddnm"):
        how = ("--method", method)
        yield _edited(f"restore/grey-{method}", "restore", "--operator", "grey", *how, mode="L")
        yield _edited(f"restore/downsample-{method}", "restore", "--operator", "downsample:2", *how, size=(4, 4))
        yield _edited(f"restore/blur-{method}", "restore", "--operator", "blur:1", *how)
        yield _edited(f"restore/mask-{method}", "restore", "--operator", "mask:MASK", *how)
    yield _edited("restore/noise", "restore", "--operator", "downsample:2", "--noise", "10", size=(4, 4))
    yield _edited("restore/large", "restore", "--operator", "downsample:2", size=(8, 8))
    for name, flags in {"plain": (), "labels": ("--label", "circle", "--label", "square")}.items():
        yield Case(f"interpolate/{name}", partial(_between, flags=flags))
    for name, flags in {
        "plain": (),
        "augment": ("--augment", "0.2"),
        "inconsistent": ("--no-consistent",),
        "label": ("--label", "star", *GUIDED),
        "heun": ("--solver", "heun", "--index", "3"),
    }.items():
        yield Case(f"upscale/{name}", partial(_upscaled, flags=flags))


def _sample(name: str, *flags: str) -> Case:
    return Case(f"sample/{name}", partial(_drawn, flags=(*STEPS, *flags)))


def _of_run(name: str, trained: tuple[str, ...] = (), flags: tuple[str, ...] = (), mode: str = "RGB") -> Case:
    """Samples of a run that was trained with other flags."""

    def find(lab: Lab) -> dict[str, str]:
        run = lab.run(*trained, photos=lab.photos(mode))
        return _drawn(lab, flags=("--label", "square", *STEPS, *flags), run=run)

    return Case(f"sample/run-{name}", find)


def _drawn(lab: Lab, *, flags: tuple[str, ...], run: Path | None = None) -> dict[str, str]:
    out = lab.out("samples")
    lab.cli("sample", run or lab.run(), "-n", 4, *flags, "--out", out)
    return {"": numbered(out)}


def _classified(lab: Lab, *, flags: tuple[str, ...]) -> dict[str, str]:
    return _drawn(lab, flags=flags, run=lab.classified())


def _checkpoint(lab: Lab) -> dict[str, str]:
    return _drawn(lab, flags=STEPS, run=min((lab.run() / "checkpoints").iterdir()))


def _again(lab: Lab) -> dict[str, str]:
    out = lab.out("from")
    lab.cli("sample", lab.run(), "-n", 3, "--label", "star", *STEPS, "--solver", "ancestral", *GUIDED, "--out", out)
    lab.cli("sample", "--from", out / "00002.png")
    first, again = (pictures([out / name]) for name in ("00002.png", "00002-again.png"))
    return {"": again, "agrees": str(first == again)}


def _trajectory(lab: Lab) -> dict[str, str]:
    out = lab.out("trajectory")
    lab.cli("sample", lab.run(), "-n", 2, *STEPS, "--trajectory", "--out", out)
    strips = pictures(sorted(out.glob("*-trajectory.png")))
    return {"samples": numbered(out), "films": numbered(out, "gif"), "strips": strips}


def _cascade(lab: Lab) -> dict[str, str]:
    out = lab.out("cascade")
    lab.cli("sample", lab.run(), "-n", 3, "--label", "star", *STEPS, "--then", enlarging(lab), "--out", out)
    return {"large": numbered(out), "base": numbered(out / "base")}


def _plot(lab: Lab, *, words: tuple[str, ...], flags: tuple[str, ...]) -> dict[str, str]:
    out = lab.out("plot").with_suffix(".png")
    out.parent.mkdir(exist_ok=True)
    lab.cli("plot", *words, lab.run(), *flags, "--out", out)
    return {"": pictures([out])}


def _edited(name: str, command: str, *flags: str, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Case:
    """A picture of this size and mode, changed twice; MASK in a flag stands for a mask of its size."""

    def find(lab: Lab) -> dict[str, str]:
        out, mask = lab.out(command), str(lab.mask(size))
        how = [flag.replace("MASK", mask) for flag in flags]
        lab.cli(command, lab.run(), lab.photo(size, mode), *how, "--label", "circle", *STEPS, "-n", 2, "--out", out)
        return {"": numbered(out)}

    return Case(name, find)


def _between(lab: Lab, *, flags: tuple[str, ...]) -> dict[str, str]:
    out = lab.out("between")
    ends = lab.photo(), lab.photo(index=1)
    lab.cli("interpolate", lab.run(), *ends, "-n", 4, "--steps", 10, *flags, "--out", out)
    return {"": numbered(out)}


def _upscaled(lab: Lab, *, flags: tuple[str, ...]) -> dict[str, str]:
    out = lab.out("upscaled")
    small = [lab.photo((4, 4)), lab.photo((4, 4), index=1), lab.photo((6, 8), index=2)]
    lab.cli("upscale", enlarging(lab), *small, *STEPS, *flags, "--out", out)
    return {path.stem: pictures([out / path.name]) for path in small}
