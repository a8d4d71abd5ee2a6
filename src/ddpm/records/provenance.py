"""The record in a picture of how it was made."""

import shlex
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import AfterValidator

from ddpm.config.options import flat, typed, under
from ddpm.config.sampling import SamplingConfig
from ddpm.images.decode import BadImage, info
from ddpm.images.sheets import png
from ddpm.records.run_folder import RunFolder
from ddpm.system.errors import InputError
from ddpm.system.filenames import readable
from ddpm.system.files import write_file
from ddpm.system.record import Record, Strict

KEY = "ddpm"
"""The PNG text chunk, and the key of ``image.info``."""

MADE_BY = ("Software", "ddpm")
"""The PNG keyword for the program that wrote it, and its text."""

OF_CLASSIFIER = under(SamplingConfig, "classifier")

Shown = Annotated[str, AfterValidator(readable)]
"""Text that may be a file name with any bytes."""

Option = Shown | float | int | bool | tuple[str, ...] | None


class Work(Strict):
    """The edit of given pictures that made a picture.

    Attributes:
        command: the command of ``ddpm``, such as "inpaint".
        given: the name of each picture and a hash of its pixels, in the order of the command line.
        options: that command's own options, with all defaults resolved.
        mask: hash of the mask, if given as a picture.
        drawn: whether seed, label and sampling settings apply, rather than a fixed rule.
    """

    command: str
    given: tuple[tuple[Shown, str], ...]
    options: dict[str, Option]
    mask: str | None = None
    drawn: bool = True


class Provenance(Record):
    """Everything that determines a sample.

    Attributes:
        run: the folder that the model was loaded from, as given.
        weights: hash of the weights.
        seed, index: the seed, and the image's index among its samples.
        label: the name of the class, or None.
        prompt: the prompt, or None.
        sampling: the settings, with all defaults resolved.
        work: the edit of given pictures; None for a sample from noise.
    """

    WRITER: ClassVar[str] = "ddpm sample"
    run: str
    weights: str
    seed: int
    index: int
    label: str | None
    prompt: str | None = None
    sampling: SamplingConfig
    work: Work | None = None

    def command(self) -> str:
        """The command line that repeats an edit: "ddpm edit runs/cats photo.png --strength 0.6 --n 1 …"."""
        assert self.work is not None, "a sample from noise is reproduced by --from"
        options: dict[str, Any] = dict(self.work.options)
        if self.work.drawn:
            own = {"label": self.label, "prompt": self.prompt, "seed": self.seed}
            options |= {name: value for name, value in own.items() if value is not None}
            guided = any(options.get(name) is not None for name in ("label", "prompt"))
            options |= _flags(self.sampling, guided=guided)
        names = [name for name, _ in self.work.given]
        return shlex.join(["ddpm", self.work.command, self.run, *names, *typed(options)])

    def attach(self, image: Image.Image) -> Image.Image:
        """Write this record into ``image.info``."""
        image.info[KEY] = self.model_dump_json()
        return image

    @classmethod
    def of(cls, image: Image.Image) -> Self:
        """Read the record in ``image.info``.

        Raises:
            InputError: it has none.
        """
        if not isinstance(image, Image.Image) or KEY not in image.info:
            raise InputError(
                "missing", f"{image!r} has no record of how it was made; use a PNG, or a PIL image, made by ddpm"
            )
        return cls.from_json(image.info[KEY], "the record in the picture")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the record in a PNG.

        Raises:
            InputError: the file does not exist, is not a picture, or has no record.
        """
        try:
            record = info(path).get(KEY)
        except FileNotFoundError:
            raise InputError("missing", f"{path} does not exist; use a PNG written by `ddpm sample`") from None
        except (OSError, BadImage) as e:
            raise InputError("unreadable", f"{path} is not a picture ({e}); use a PNG written by `ddpm sample`") from e
        if record is None:
            raise InputError("missing", f"{path} has no record of how it was made; use a PNG written by `ddpm sample`")
        return cls.from_json(record, f"the record in {path}")

    def find_runs(self, picture: Path) -> list[Path]:
        """Find folders that may be the run's: the recorded one, and those that the picture is in.

        Raises:
            InputError: none of them is a run.
        """
        folders = [Path(self.run), *picture.absolute().parents]
        found = [folder for folder in folders if RunFolder.of(folder) is not None]
        if not found:
            raise InputError(
                "missing",
                f"run {self.run}, which made {picture}, was not found; run this from the folder that contains it",
            )
        return found


def _flags(how: SamplingConfig, *, guided: bool) -> dict[str, Any]:
    """Settings by flag.

    Args:
        guided: whether there is a label or a prompt.
    """
    settings = flat(how) | {"grid": how.visits, "size": None}  # the given picture determines the size
    if how.area is not None and not how.area.whole:
        settings["whole"] = None
    if not guided and (how.guidance is None or how.guidance.guide is None):
        # the run's default, without effect as there is neither label nor prompt
        settings |= {name: None for name in under(SamplingConfig, "guidance") if name not in OF_CLASSIFIER}
    return settings


def image_hash(image: Image.Image) -> str:
    """A hash of a picture's mode, size and pixels."""
    return sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()[:16]


def save(image: Image.Image, path: Path) -> None:
    """Write a PNG marked as written by ddpm, with its record if it has one."""
    texts = PngInfo()
    texts.add_text(*MADE_BY)
    if KEY in image.info:
        texts.add_text(KEY, image.info[KEY])
    write_file(path, png(image, texts))


def saved(path: Path) -> bool:
    """Whether ddpm wrote a file: :func:`save` a PNG, or a GIF that says so."""
    try:
        found = info(path)
    except (OSError, BadImage):
        return False
    key, name = MADE_BY
    return KEY in found or found.get(key) == name or found.get("comment") == name.encode()
