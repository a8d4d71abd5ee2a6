"""Pictures that say how they were made."""

import shlex
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Self

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from ddpm.config.options import flat, typed, under
from ddpm.config.sampling import SamplingConfig
from ddpm.images.sheets import png
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.system.files import write_file
from ddpm.system.record import Record, Strict

KEY = "ddpm"
"""The PNG text chunk, and the key of ``image.info``."""

MADE_BY = ("Software", "ddpm")
"""A PNG's keyword for what has written it, and its text."""

OF_CLASSIFIER = under(SamplingConfig, "classifier")

Option = str | float | int | bool | tuple[str, ...] | None


class Work(Strict):
    """What was done with given pictures, where a sample is not drawn from nothing.

    Attributes:
        command: of ``ddpm``, as in "inpaint".
        given: the name of each picture and a hash of its pixels, in the order of the command line.
        options: of that command, beside those of sampling, with nothing left to a default.
        mask: hash of what was filled in, where that was given as a picture.
        drawn: whether by a seed, a label and settings of sampling that were asked for, rather than by a fixed rule.
    """

    command: str
    given: tuple[tuple[str, str], ...]
    options: dict[str, Option]
    mask: str | None = None
    drawn: bool = True


class Provenance(Record):
    """Everything that a sample is a function of.

    Attributes:
        run: the folder that the model was loaded from, as it was given.
        weights: hash of the weights.
        seed, index: image ``index`` of this seed.
        label: the class by name, or None.
        sampling: the settings, with nothing left to a default.
        work: what was done with given pictures; None for a sample drawn from nothing.
    """

    WRITER: ClassVar[str] = "ddpm sample"
    run: str
    weights: str
    seed: int
    index: int
    label: str | None
    sampling: SamplingConfig
    work: Work | None = None

    def command(self) -> str:
        """What was done with given pictures, to be typed: "ddpm edit runs/cats photo.png --strength 0.6 --n 1 …"."""
        assert self.work is not None, "what is drawn from nothing is drawn again from its record"
        options: dict[str, Any] = dict(self.work.options)
        if self.work.drawn:
            options |= {"label": self.label, "seed": self.seed} | _flags(self.sampling, self.label)
        names = [name for name, _ in self.work.given]
        return shlex.join(["ddpm", self.work.command, self.run, *names, *typed(options)])

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
            raise InputError("missing", f"{path} does not exist; give a PNG that `ddpm sample` wrote") from None
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as e:
            raise InputError("invalid", f"{path} is no picture ({e}); give a PNG that `ddpm sample` wrote") from e
        if record is None:
            raise InputError("invalid", f"{path} does not say how it was made; give a PNG that `ddpm sample` wrote")
        return cls.from_json(record, f"the record in {path}")

    def find_run(self, picture: Path) -> Path:
        """The run's folder: where it was, or a folder above the picture.

        Raises:
            InputError: it is in neither place.
        """
        given = Path(self.run)
        above = [p for p in picture.absolute().parents if RunFolder(p).config_file.exists()]
        for folder in (given, *above):
            if folder.is_dir():
                return folder
        raise InputError(
            "invalid", f"the run {self.run} that made {picture} is not there; run from the folder where it is"
        )


def _flags(how: SamplingConfig, label: str | None) -> dict[str, Any]:
    """Settings by flag."""
    settings = flat(how) | {"grid": how.visits, "size": None}  # the size follows from the given picture
    if how.area is not None and not how.area.whole:
        settings["whole"] = None
    if label is None and (how.guidance is None or how.guidance.guide is None):
        # the run's own, with nothing to guide towards
        settings |= {name: None for name in under(SamplingConfig, "guidance") if name not in OF_CLASSIFIER}
    return settings


def fingerprint(image: Image.Image) -> str:
    """A hash of a picture's mode, size and pixels."""
    return sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()[:16]


def save(image: Image.Image, path: Path) -> None:
    """Write a PNG that says whose it is, together with its record, if it has one."""
    info = PngInfo()
    info.add_text(*MADE_BY)
    if KEY in image.info:
        info.add_text(KEY, image.info[KEY])
    write_file(path, png(image, info))


def saved(path: Path) -> bool:
    """Whether a file is one that :func:`save` has written."""
    try:
        with Image.open(path) as image:
            return KEY in image.info or image.info.get(MADE_BY[0]) == MADE_BY[1]
    except (UnidentifiedImageError, OSError):
        return False
