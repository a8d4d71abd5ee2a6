"""Pictures made whole again, of which a linear part is known."""

from dataclasses import dataclass
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
"""Standard deviation of rounding to grey levels, which the inverse of a blur would magnify."""


@dataclass(frozen=True)
class Damage:
    """What has become of the pictures.

    Attributes:
        operator: from a whole picture to what is left of it.
        channels: of what is left; None for those of the run.
        factor: how many times smaller what is left is.
        noise: of what is left, at the least, in grey levels of 255.
    """

    operator: Operator
    channels: int | None = None
    factor: int = 1
    noise: float = 0.0

    def left(self, data: DataConfig) -> tuple[tuple[int, int], Mode]:
        """(H, W) and mode of the images of a run, so damaged."""
        height, width = data.size
        size = -(-height // self.factor), -(-width // self.factor)
        return size, "L" if self.channels == 1 else data.mode


def parse(text: str, data: DataConfig) -> Damage:
    """ "grey", "downsample:4" (the mean of blocks of 4 × 4) or "blur:2" (Gaussian, in pixels).

    Raises:
        InputError: anything else, grey of what has no colours, or blocks larger than the images.
    """
    name, _, value = text.partition(":")
    if name == "grey" and not value:
        if data.mode != "RGB":
            raise InputError(
                "invalid", f"--operator grey needs a run of RGB images to give colours, and this one has {data.mode}"
            )
        return Damage(Grey(), channels=1)
    if name == "downsample":
        most = min(data.size)
        if not value.isdecimal() or not 2 <= int(value) <= most:
            raise InputError(
                "invalid",
                f"--operator {text}: downsample takes a whole number from 2 to {most}, the side of the run's images, "
                "as in downsample:2",
            )
        return Damage(AveragePool(int(value)), factor=int(value))
    if name == "blur":
        try:
            return Damage(Blur(float(value)), noise=ROUNDING)
        except ValueError as e:
            raise InputError(
                "invalid", f"--operator {text}: blur takes a number of pixels above 0, as in blur:2"
            ) from e
    raise InputError("unknown", f"--operator {text} is unknown; it may be {KNOWN}")


def mask_of(operator: str, noise: float | None) -> str | None:
    """The file of "mask:FILE", by which pictures are inpainted; None for what else may be damaged.

    Raises:
        InputError: noise, which has no effect there.
    """
    name, _, file = operator.partition(":")
    if name != "mask" or not file:
        return None
    if noise:
        raise InputError("missing", f"noise {noise:g} has no effect on a mask, around which pixels stay as they are")
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
    """What damaged pictures may have been, with no training for the damage.

    Damaged again, the results are the given pictures, up to rounding, unless these have noise of their own. What is
    transparent stays so.

    Args:
        operator: "grey", "downsample:4" (means of 4 × 4 blocks), "blur:2" (Gaussian, in pixels), or "mask:FILE" for a
            part that is gone.
        method: "mmps", also if None, or "ddnm"; see :func:`~ddpm.tasks.inpaint.inpaint`.
        noise: standard deviation of the pictures' own noise, in grey levels of 255; that of rounding for a blur, and 0
            for all else, if None.
        images, asked: see :func:`~ddpm.tasks.inpaint.inpaint`.

    Raises:
        InputError: an unknown operator, or pictures or settings that cannot be used.
    """
    if noise is not None and not 0 <= noise <= 255:
        raise InputError("invalid", f"noise must be from 0 to 255 grey levels, not {noise:g}")
    if mask := mask_of(operator, noise):
        return inpaint(run, images, mask, method=method, **asked)
    request, damage = EditRequest.of(asked), parse(operator, run.config.data)
    photos = request.photos(images, *damage.left(run.config.data))
    way, std = method_of(method), damage.noise if noise is None else noise

    def task(how: SamplingConfig, rows: list[int]) -> Task:
        return observing(way, damage.operator, encoded(run, photos, rows), how, run.config.data, std / 127.5)

    works = [request.work("restore", photo, operator=operator, method=way, noise=std) for photo in photos]
    made = variations(run, photos, request, works, task, damage.factor)
    return as_given(images, [new.record.attach(photos[new.of].redrawn(new.pixels)) for new in made])
