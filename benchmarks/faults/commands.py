"""Commands that write files, and what each needs."""

import json
from dataclasses import dataclass
from pathlib import Path

SMALL = {"network.width": 8, "network.multipliers": [1], "network.attention": []}
OFTEN = {"training.checkpoint_every": 32, "training.log_every": 32, "training.previews": 1, "training.averages": 2}


def _set(**groups: dict[str, object]) -> tuple[str, ...]:
    return tuple(
        w for group in groups.values() for key, value in group.items() for w in ("--set", f"{key}={json.dumps(value)}")
    )


PLAIN = ("--batch", "16", "--precision", "fp32", "--device", "cpu")


def _train(images: int, out: str = "run") -> tuple[str, ...]:
    return ("train", "photos", "--out", out, "--images", str(images), *PLAIN, *_set(small=SMALL, often=OFTEN))


TRAIN = _train(96)
LARGER = (
    *("train", "photos", "--out", "larger", "--images", "32", "--recipe", "super-resolution", "--scale", "2"),
    *PLAIN,
    *_set(small=SMALL),
)
CODER = (
    *("train", "photos", "--out", "coder", "--recipe", "autoencoder", "--factor", "2", "--images", "64", *PLAIN),
    *_set(small={"network.width": 8}, often={"training.checkpoint_every": 32, "training.log_every": 32}),
)

EXPORTED = (
    *("train", "photos", "--out", "run", "--images", "32", "--network", "plain-unet", *PLAIN),
    *_set(small={"network.width": 32, "network.multipliers": [1], "network.attention": ["none"]}),
)
EXPORT = ("export", "run", "--to", "diffusers", "--out", "exported")


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        before: the commands that make what it reads.
        again: whether it ends with 2 where its result is already there.
    """

    argv: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    again: bool = False


COMMANDS = {
    "train": Command(TRAIN),
    "train --for longer": Command(_train(160), (TRAIN,)),
    "train, scored and tuned": Command(
        (
            *("train", "photos", "--out", "run", "--images", "96", "--during-training", "--tune-guidance", *PLAIN),
            *_set(small=SMALL, often=OFTEN | {"training.averages": 16}),
            *_set(scored={"scoring.every": 48, "scoring.samples": 16, "scoring.steps": 2, "scoring.share": 1}),
            *_set(tuned={"guidance_search.samples": 32, "guidance_search.steps": 2, "guidance_search.lengths": [0.1]}),
        )
    ),
    "train an autoencoder": Command(CODER),
    "train on latents": Command((*_train(32, "latent"), "--codec", "coder", "--flip"), (CODER,)),
    "train-classifier": Command(("train-classifier", "run", "--images", "64", "--width", "8", *PLAIN), (TRAIN,)),
    "distill": Command(("distill", "run", "--out", "fast", "--steps", "2", "--images", "64", *PLAIN), (TRAIN,)),
    "evaluate": Command(("evaluate", "run", "-n", "20", "--steps", "2", "--batch", "32", "--device", "cpu"), (TRAIN,)),
    "tune": Command(("tune", "run", "--steps", "2", "--solvers", "unipc-2", "-n", "2", "--device", "cpu"), (TRAIN,)),
    "tune --guidance": Command(("tune", "run", "--guidance", "-n", "32", "--steps", "2", "--device", "cpu"), (TRAIN,)),
    "average": Command(("average", "run", "--length", "0.1"), (TRAIN,)),
    "sample": Command(("sample", "run", "-n", "4", "--steps", "2", "--device", "cpu"), (TRAIN,)),
    "upscale": Command(("upscale", "larger", "photos/odd/1.png", "--steps", "2", "--device", "cpu"), (LARGER,)),
    "likelihood": Command(
        ("likelihood", "run", "--data", "photos", "-n", "20", "--steps", "2", "--device", "cpu"), (TRAIN,)
    ),
    "export": Command(EXPORT, (EXPORTED,), again=True),
    "import": Command(("import", "exported", "--out", "imported"), (EXPORTED, EXPORT), again=True),
    "check": Command(("check", "photos")),
    "serve": Command(("serve", "run"), (TRAIN,)),
}


def photos(folder: Path) -> None:
    """Write a few pictures of two classes, too few to hold any out."""
    import numpy as np
    from PIL import Image

    for i in range(36):
        path = folder / ("even", "odd")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8), np.uint8)).save(path)
