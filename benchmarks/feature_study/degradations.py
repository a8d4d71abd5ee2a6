"""Ways to make a set of images worse, each in five strengths, the weakest first."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from ddpm.images.pixels import Pixels

SIDE = 32
"""Side of the images that lengths are meant for; they grow with larger ones."""
Damage = Callable[[Pixels, float, np.random.Generator], Pixels]


@dataclass(frozen=True)
class Degradation:
    """One way.

    Attributes:
        damage: (N, H, W, 3) uint8 and a strength -> as many of the same shape.
        strengths: from the weakest on.
        unit: what they are, in words.
    """

    damage: Damage
    strengths: tuple[float, float, float, float, float]
    unit: str

    def __call__(self, images: Pixels, strength: float) -> Pixels:
        """The same bytes for the same images and strength."""
        return self.damage(images, strength, np.random.default_rng(0))


def blur(images: Pixels, sigma: float, _: np.random.Generator) -> Pixels:
    """Gaussian, of a standard deviation in pixels of a picture of 32 × 32."""
    s = sigma * images.shape[1] / SIDE
    return _bytes(gaussian_filter(images.astype(np.float32), (0, s, s, 0)))


def noise(images: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Gaussian, independent, of a standard deviation in 1 / 255."""
    return _bytes(images + sigma * rng.standard_normal(images.shape, np.float32))


def jpeg(images: Pixels, quality: float, _: np.random.Generator) -> Pixels:
    """Compressed and read again."""
    return _each(images, lambda image: _recompressed(image, round(quality)))


def colour(images: Pixels, percent: float, _: np.random.Generator) -> Pixels:
    """Red multiplied by 1 + s, and blue by 1 - s."""
    return _bytes(images * np.array([1 + percent / 100, 1, 1 - percent / 100], np.float32))


def contrast(images: Pixels, share: float, _: np.random.Generator) -> Pixels:
    """So much of the difference from middle grey is left."""
    return _bytes((images - np.float32(127.5)) * np.float32(share) + np.float32(127.5))


def pixelate(images: Pixels, side: float, _: np.random.Generator) -> Pixels:
    """Brought to this side, of 32, and back."""
    height, width = images.shape[1:3]
    small = (round(side * width / SIDE), round(side * height / SIDE))

    def there_and_back(image: Image.Image) -> Image.Image:
        return image.resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.BICUBIC)

    return _each(images, there_and_back)


def rectangles(images: Pixels, side: float, rng: np.random.Generator) -> Pixels:
    """A black square anywhere in each picture, of this side of 32."""
    out = images.copy()
    high, wide = (round(side * n / SIDE) for n in images.shape[1:3])
    tops = rng.integers(0, images.shape[1] - high + 1, len(images))
    lefts = rng.integers(0, images.shape[2] - wide + 1, len(images))
    for image, top, left in zip(out, tops, lefts, strict=True):
        image[top : top + high, left : left + wide] = 0
    return out


def collapse(images: Pixels, share: float, _: np.random.Generator) -> Pixels:
    """So many distinct images are left, each as often as any other."""
    return images[np.arange(len(images)) % round(share * len(images))]


DEGRADATIONS = {
    "blur": Degradation(blur, (0.35, 0.5, 0.7, 1.0, 1.5), "sigma, pixels"),
    "noise": Degradation(noise, (2, 4, 8, 16, 32), "sigma, of 255"),
    "JPEG": Degradation(jpeg, (85, 70, 40, 20, 10), "quality"),
    "colour": Degradation(colour, (2, 4, 8, 16, 32), "% more red, less blue"),
    "contrast": Degradation(contrast, (0.95, 0.9, 0.8, 0.65, 0.5), "share left"),
    "pixelate": Degradation(pixelate, (28, 24, 20, 16, 8), "side, of 32"),
    "rectangles": Degradation(rectangles, (2, 4, 6, 8, 12), "side, of 32"),
    "collapse": Degradation(collapse, (0.5, 0.25, 0.125, 0.05, 0.025), "share distinct"),
}
"""JPEG leaves out 60 to 45: CIFAR-10 is often kept as JPEG of quality 75, and the steps of 50 are its steps doubled, so
that odd multiples of the old ones lie halfway between the new ones and are wrong by the most that is possible."""


def _recompressed(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def _each(images: Pixels, change: Callable[[Image.Image], Image.Image]) -> Pixels:
    return np.stack([np.asarray(change(Image.fromarray(image))) for image in images])


def _bytes(x: np.ndarray) -> Pixels:
    return x.round().clip(0, 255).astype(np.uint8)
