"""Pictures that say how they were made."""

import shlex
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from pydantic import ValidationError

from ddpm.config import SamplingConfig, Strict
from ddpm.errors import InputError

KEY = "ddpm"
"""The PNG text chunk, and the key of ``image.info``."""


Option = str | float | int | bool | None


class Work(Strict):
    """What was done with given pictures, where a sample is not drawn from nothing.

    Attributes:
        command: of ``ddpm``, as in "inpaint".
        given: the pictures, by their names, in the order of the command line, with a hash of their pixels.
        options: of that command, beside those of sampling, with nothing left to a default.
    """

    command: str
    given: dict[str, str]
    options: dict[str, Option]

    @classmethod
    def of(cls, command: str, options: Mapping[str, Option]) -> Self:
        """Of pictures that are yet to be named."""
        return cls(command=command, given={}, options=dict(options))

    def words(self, run: str) -> str:
        """As it was typed: "ddpm edit runs/cats photo.png --strength 0.6"."""
        parts = ["ddpm", self.command, run, *self.given]
        for name, value in self.options.items():
            if value is not None and value is not False:
                parts += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        return shlex.join(parts)


class Provenance(Strict):
    """Everything that a sample is a function of.

    Attributes:
        format: of this record.
        run: the folder that the model was loaded from, as it was given.
        weights: hash of the weights.
        seed, index: image ``index`` of this seed.
        label: the class by name, or None.
        sampling: the settings, with nothing left to a default.
        work: what was done with given pictures; None for a sample drawn from nothing.
    """

    format: Literal[1] = 1
    run: str
    weights: str
    seed: int
    index: int
    label: str | None
    sampling: SamplingConfig
    work: Work | None = None

    def attach(self, image: Image.Image) -> Image.Image:
        """Write this record into ``image.info``."""
        image.info[KEY] = self.model_dump_json()
        return image

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record in a PNG.

        Raises:
            InputError: no such file, no picture, or one without a record.
        """
        try:
            with Image.open(path) as image:
                record = image.info.get(KEY)
        except FileNotFoundError:
            raise InputError(f"{path} does not exist; give a PNG that `ddpm sample` wrote") from None
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as e:
            raise InputError(f"{path} is no picture ({e}); give a PNG that `ddpm sample` wrote") from e
        if record is None:
            raise InputError(f"{path} does not say how it was made; give a PNG that `ddpm sample` wrote")
        try:
            return cls.model_validate_json(record)
        except ValidationError as e:
            raise InputError(f"{path} was made by another version of ddpm: its record cannot be read") from e

    def find_run(self, picture: Path) -> Path:
        """The run's folder: where it was, or a folder above the picture.

        Raises:
            InputError: it is in neither place.
        """
        given = Path(self.run)
        above = [p for p in picture.absolute().parents if (p / "config.json").exists()]
        for folder in (given, *above):
            if folder.is_dir():
                return folder
        raise InputError(f"the run {self.run} that made {picture} is not there; run from the folder where it is")


def fingerprint(image: Image.Image) -> str:
    """A hash of a picture's mode, size and pixels."""
    return sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()[:16]


def save(image: Image.Image, path: Path) -> None:
    """Write a PNG together with its record, if it has one."""
    info = PngInfo()
    if KEY in image.info:
        info.add_text(KEY, image.info[KEY])
    image.save(path, pnginfo=info)
