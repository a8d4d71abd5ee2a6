"""Draw the picture of editing examples in docs/editing.md.

    python benchmarks/editing_picture.py RUN cifar10-test.zip --out docs/images/editing.png

RUN was trained on the ten classes of CIFAR-10; the zip has its test images in class folders.
"""

import argparse
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from side_by_side.known import ANCESTRAL

import ddpm
from ddpm.constraints import Blur
from ddpm.images.photo import read
from ddpm.tasks.mask import preview

HOW = ANCESTRAL | {"guidance": 1.0, "precision": "bf16"}
EDIT = {"solver": "dpm++-2m", "grid": "quadratic", "steps": 20, "precision": "bf16"}
HOLE = (slice(12, 28), slice(4, 16))
ENLARGE, GAP, LEFT = 3, 4, 132

Row = tuple[str, Sequence[str], Sequence[Image.Image]]
"""(command, lines below its name, pictures)."""


def rows(pipe: ddpm.Pipeline, photos: dict[str, Image.Image]) -> list[Row]:
    found: list[Row] = []
    hole = np.zeros((32, 32), np.uint8)
    hole[HOLE] = 255
    for name in ("horse/0003", "automobile/0016"):
        photo, label = photos[name], name.split("/")[0]
        made = pipe.inpaint(photo, Image.fromarray(hole), n=4, label=label, **HOW)
        seen = preview(read(photo, pipe.config.data), hole > 0)
        found.append(("inpaint", ["given, mask, four", f"draws: {label}"], [photo, seen, *made]))

    names = ["automobile/0276", "bird/0978", "automobile/0004"]
    made = pipe.outpaint([photos[n] for n in names], left=16, right=16, label=[n.split("/")[0] for n in names], **HOW)
    found.append(("outpaint", ["16 columns at", "each side"], made))

    photo = photos["automobile/0016"]
    made = [pipe.edit(photo, s, n=8, label="truck", **EDIT)[-1] for s in (0.2, 0.4, 0.6, 0.8)]
    found.append(("edit", ["strength 0.2, 0.4,", "0.6, 0.8, as a", "truck"], [photo, *made]))

    damaged = {
        "grey": ("bird/0018", lambda photo: photo.convert("L")),
        "downsample:4": ("frog/0016", lambda photo: photo.resize((8, 8), Image.Resampling.BOX)),
        "blur:2": ("truck/0011", blurred),
    }
    for operator, (name, damage) in damaged.items():
        given = damage(photos[name])
        made = pipe.restore(given, operator, n=4, label=name.split("/")[0], **HOW)
        first = given.convert("RGB").resize((32, 32), Image.Resampling.NEAREST)
        found.append(("restore", [operator, "four draws,", "the original"], [first, *made, photos[name]]))

    made = pipe.interpolate(photos["horse/0003"], photos["deer/0011"], n=6, label=["horse", "deer"])
    found.append(("interpolate", ["from one given", "picture to another"], made))
    return found


def blurred(photo: Image.Image) -> Image.Image:
    seen = Blur(2.0).forward(torch.from_numpy(np.array(photo)).movedim(-1, 0)[None].double())
    return Image.fromarray(seen[0].movedim(0, -1).round().clamp(0, 255).to(torch.uint8).numpy())


def page(found: Sequence[Row]) -> Image.Image:
    step = 32 * ENLARGE + GAP
    made = Image.new("RGB", (LEFT + 6 * step - GAP, len(found) * step - GAP), "white")
    write = ImageDraw.Draw(made)
    for i, (command, lines, images) in enumerate(found):
        write.text((2, i * step + 10), command, "black", font=ImageFont.load_default(size=17))
        for k, line in enumerate(lines):
            write.text((2, i * step + 34 + 17 * k), line, (80, 80, 80), font=ImageFont.load_default(size=14))
        x = LEFT
        for image in images:
            large = image.resize((image.width * ENLARGE, image.height * ENLARGE), Image.Resampling.NEAREST)
            made.paste(large, (x, i * step))
            x += large.width + GAP
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("test", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with zipfile.ZipFile(args.test) as archive:
        photos = {
            str(Path(name).with_suffix("")): Image.open(io.BytesIO(archive.read(name))).convert("RGB")
            for name in archive.namelist()
            if name.endswith(".jpg")
        }
    page(rows(ddpm.load(args.run), photos)).save(args.out, optimize=True)


if __name__ == "__main__":
    main()
