"""Restore pictures after a known linear degradation."""

from typing import Any

from PIL import Image

from ddpm.config.data import DataConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.constraints import AveragePool, Blur, Grey, Operator
from ddpm.engine.run import LoadedRun
from ddpm.engine.task import Task
from ddpm.images.photo import Several
from ddpm.system.errors import InputError
from ddpm.system.names import Mode
from ddpm.tasks.inpaint import inpaint
from ddpm.tasks.observed import method_of, observing
from ddpm.tasks.variations import EditRequest, as_given, encoded, variations

KNOWN = "grey, downsample:4, blur:2 or mask:mask.png"

ROUNDING = 12**-0.5
"""Standard deviation of rounding to grey levels, which the inverse of a blur would amplify."""


def parse(text: str, data: DataConfig) -> tuple[Operator, Mode, int, float]:
    """Parse "grey", "downsample:4" (the mean of 4 × 4 blocks) or "blur:2" (Gaussian, in pixels).

    Returns:
        The operator from intact pictures of a run to damaged ones; their mode, and how many times smaller they are; and
        their default noise, in grey levels (0 to 255).

    Raises:
        InputError: anything else, grey for a run without colour, or blocks larger than the images.
    """
    name, _, value = text.partition(":")
    if name == "grey" and not value:
        if data.mode != "RGB":
            raise InputError(
                "incompatible", f"--operator grey needs a run of RGB images, but this run has {data.mode} images"
            )
        return Grey(), "L", 1, 0.0
    if name == "downsample":
        most = min(data.size)
        if not value.isdecimal() or not 2 <= int(value) <= most:
            raise InputError(
                "invalid",
                f"--operator {text} has an invalid factor; use a whole number from 2 to {most}, the side of the run's "
                "images, as in downsample:2",
            )
        return AveragePool(int(value)), data.mode, int(value), 0.0
    if name == "blur":
        try:
            return Blur(float(value)), data.mode, 1, ROUNDING
        except ValueError as e:
            raise InputError(
                "invalid", f"--operator {text} has an invalid width; use a number of pixels above 0, as in blur:2"
            ) from e
    raise InputError("unknown", f"unknown --operator {text}; use {KNOWN}")


def mask_of(operator: str, noise: float | None) -> str | None:
    """Return the file of "mask:FILE", for inpainting; None for any other operator.

    Raises:
        InputError: noise is given, which has no effect with a mask.
    """
    name, _, file = operator.partition(":")
    if name != "mask" or not file:
        return None
    if noise:
        raise InputError(
            "conflict", f"noise {noise:g} has no effect with a mask, which keeps known pixels; leave it out"
        )
    return file


def restore(
    run: LoadedRun,
    images: Several,
    operator: str,
    *,
    method: str | None = None,
    noise: float | None = None,
    **asked: Any,
) -> Image.Image | list[Image.Image]:
    """Restore damaged pictures, without training for the damage.

    The same damage turns the results back into the given pictures, up to rounding, unless these are noisy. Transparency
    is kept.

    Args:
        operator: "grey", "downsample:4" (means of 4 × 4 blocks), "blur:2" (Gaussian, in pixels), or "mask:FILE" for a
            missing part.
        method: "mmps" (default) or "ddnm"; see :func:`~ddpm.tasks.inpaint.inpaint`.
        noise: standard deviation of the noise in the pictures, in grey levels (0 to 255); if None that of rounding
            for blur, else 0.
        images, asked: see :func:`~ddpm.tasks.inpaint.inpaint`.

    Raises:
        InputError: an unknown operator, or unusable pictures or settings.
    """
    if not isinstance(operator, str):
        raise InputError("invalid", f"operator is {operator!r}; use {KNOWN}")
    if noise is not None and not 0 <= noise <= 255:
        raise InputError("invalid", f"noise {noise:g} is out of range; use 0 to 255 grey levels")
    if mask := mask_of(operator, noise):
        return inpaint(run, images, mask, method=method, **asked)
    if not run.config.codec.in_pixels:
        raise InputError(
            "incompatible",
            f"operator {operator} applies to pixels, but {run.source} samples latents; use a run trained without "
            "--codec",
        )
    data, request = run.config.data, EditRequest.of(asked)
    damage, mode, factor, usual = parse(operator, data)
    height, width = data.size
    photos = request.photos(images, (-(-height // factor), -(-width // factor)), mode)
    way, std = method_of(method), usual if noise is None else noise

    def task(how: SamplingConfig, rows: list[int]) -> Task:
        return observing(way, damage, encoded(run, photos, rows), how, run.config, std / 127.5)

    works = [request.work("restore", photo, operator=operator, method=way, noise=std) for photo in photos]
    return as_given(images, variations(run, photos, request, works, task, factor))
