"""What lies between two pictures."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

import torch
from PIL import Image

from ddpm import build
from ddpm.config.sampling import SamplingConfig
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import picture
from ddpm.pipeline.editing.photo import Given
from ddpm.pipeline.editing.variations import Wish, encoded
from ddpm.records.provenance import Work, fingerprint
from ddpm.sampling.interpolation import slerp
from ddpm.sampling.inversion import inversion
from ddpm.sampling.loop import steps as descent
from ddpm.system.errors import InputError
from ddpm.system.names import Fit
from ddpm.system.progress import Progress, silent

if TYPE_CHECKING:
    from ddpm.pipeline.labels import Label
    from ddpm.pipeline.pipeline import Pipeline

FLOW = {"solver": "heun", "grid": "log-snr", "clip": False, "guidance": 1.0}
"""A second-order solver whose steps can be taken upwards; clipping or guidance would have no way back."""


def interpolate(
    pipe: "Pipeline",
    first: Given,
    last: Given,
    *,
    n: int = 9,
    label: "Label | Sequence[Label] | None" = None,
    steps: int = 50,
    fit: Fit | None = None,
    batch: int = 64,
    progress: Progress = silent,
) -> list[Image.Image]:
    """n pictures from one to the other, by way of their noise (Song et al. 2021, sec. 5.3).

    Both are followed up the probability flow to the noises that they would be drawn from, and points on the great
    circle between these are followed down again. The ends are the given pictures, as well as the model can draw them.

    Args:
        first, last: of one size, that of the run or larger.
        label: what both are, or the one and the other; between two labels the embeddings are on a line.
        steps: up, and as many down.
        batch: pictures in memory at a time.
        progress: called with (steps done, in all).

    Raises:
        InputError: pictures, labels or numbers that cannot be used.
    """
    if n < 2:
        raise InputError(f"n must be at least 2, the two ends, not {n}")
    pipe.refuse_given()
    wish = Wish(n, fit=fit, batch=batch, progress=progress)
    photos = wish.photos([first, last], pipe.config.data)
    if photos[0].size != photos[1].size:
        (h, w), (other_h, other_w) = (photo.size for photo in photos)
        raise InputError(
            f"{photos[0].name} is {h} × {w} and {photos[1].name} {other_h} × {other_w}; give pictures of one size, or "
            "--fit crop"
        )
    how = pipe.settings({**FLOW, "steps": steps, "size": photos[0].size})
    labels = pipe.labels(label, 2)
    drawn = _between(pipe, how, encoded(pipe, photos, [0, 1]), labels, wish)
    asked = None if labels is None else tuple(pipe.classes[k] for k in labels)
    work = Work(
        command="interpolate",
        given=tuple((photo.name, fingerprint(photo.given)) for photo in photos),
        options={"n": n, "label": asked, "steps": steps, "fit": fit},
        drawn=False,
    )
    return [pipe.record(how, None, 0, k, work).attach(picture(pixels)) for k, pixels in enumerate(drawn)]


@torch.no_grad()
def _between(
    pipe: "Pipeline", how: SamplingConfig, ends: torch.Tensor, labels: list[int] | None, wish: Wish
) -> Iterator[Pixels]:
    """(H, W, C) uint8 of one picture after the other, from two images (2, C, H, W)."""
    denoise = pipe.denoiser(how, labelled=labels is not None)
    solver, grid = build.build_solver(how, pipe.schedule), build.build_grid(how, pipe.schedule)
    parts = [range(wish.n)[first : first + wish.batch] for first in range(0, wish.n, wish.batch)]
    progress, of = wish.progress, how.steps * (1 + len(parts))
    windows = pipe.windows(how)
    two = pipe.fill([0, 1], windows)
    noises, cond = ends[two], pipe.cond(pipe.fill(labels, windows), len(two))
    for step in inversion(denoise, solver, grid, noises, cond):
        noises = step.x
        progress(step.number, of)
    for done, part in enumerate(parts, 1):
        rows = pipe.fill(list(part), windows)
        share = torch.tensor(rows) / (wish.n - 1)
        one, other = torch.zeros(len(rows), dtype=torch.int64), torch.ones(len(rows), dtype=torch.int64)
        x = slerp(noises[one], noises[other], share)
        told = None if cond is None else cond.rows(one).lerp(cond.rows(other), share)
        for step in descent(denoise, solver, grid, x, _no_noise, told):
            x = step.x
            progress(done * how.steps + step.number, of)
        yield from pipe.codec.decode(x[: len(part)]).cpu().numpy()


def _no_noise() -> NoReturn:
    raise AssertionError("the flow draws no noise")
