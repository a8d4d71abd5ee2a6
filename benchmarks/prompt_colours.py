"""Does a run trained on captions of emoji draw the colour and the shape that a prompt names?

    python benchmarks/prompt_colours.py RUN [--guidance 3] [-n 100] [--sheet sheet.png]

For each of six colours and three shapes, n samples of "COLOUR SHAPE" are drawn. A sample has the colour of the named
hue that is nearest to the hue of most of its saturated, opaque pixels. ``--alone "purple square"`` counts prompts that
were held out from training separately.
"""

import argparse
import colorsys
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from side_by_side.machine import machine

import ddpm
from ddpm.images.sheets import png, sheet
from ddpm.metrics.estimate import wilson
from ddpm.system.device import best_precision

HUES = {
    "red": (0,),
    "orange": (25, 34),
    "yellow": (46, 58),
    "green": (85, 120, 150),
    "blue": (200, 220),
    "purple": (270, 300),
}
"""Hues that each colour may have, in degrees."""
SHAPES = ("heart", "circle", "square")
SATURATED, BRIGHT, OPAQUE, SHARE = 0.35, 0.25, 0.5, 0.02
"""The least saturation, value and opacity of a pixel that counts, and the least share of such pixels."""


def colour_of(image: npt.NDArray[np.uint8]) -> str | None:
    """The colour of most saturated pixels of an image (H, W, 4); None if there are too few."""
    pixels = image.reshape(-1, 4) / 255
    hsv = np.array([colorsys.rgb_to_hsv(*pixel[:3]) for pixel in pixels])
    seen = (pixels[:, 3] > OPAQUE) & (hsv[:, 1] > SATURATED) & (hsv[:, 2] > BRIGHT)
    if seen.mean() < SHARE:
        return None
    names = [name for name, hues in HUES.items() for _ in hues]
    known = np.array([hue for hues in HUES.values() for hue in hues])
    away = np.abs((360 * hsv[seen, :1] - known + 180) % 360 - 180)
    votes = np.bincount(away.argmin(1), minlength=len(names))
    totals = {name: sum(int(v) for v, other in zip(votes, names, strict=True) if other == name) for name in HUES}
    return max(totals, key=lambda name: totals[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("-n", type=int, default=100)
    parser.add_argument("--guidance", type=float, help="the run's own if not given")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--alone", nargs="*", default=[], help="prompts to count apart")
    parser.add_argument("--sheet", type=Path, help="a PNG of the first six samples of each prompt")
    asked = parser.parse_args()
    for name, value in machine("cpu", torch.get_num_threads()).items():
        print(f"{name}: {value}")
    pipe = ddpm.load(asked.run)
    settings = {"steps": asked.steps, "precision": best_precision(torch.device("cpu"))[0]}
    if asked.guidance is not None:
        settings["guidance"] = asked.guidance
    hits: dict[str, list[bool]] = {}
    rows = []
    for shape, colour in product(SHAPES, HUES):
        prompt = f"{colour} {shape}"
        images = pipe.sample(asked.n, prompt=prompt, output="numpy", **settings)
        hits[prompt] = [colour_of(image) == colour for image in images]
        rows.append(images[:6])
        print(f"{prompt:<15} {np.mean(hits[prompt]):6.1%}", flush=True)
    for title, prompts in (("all others", hits.keys() - set(asked.alone)), ("held out", asked.alone)):
        if prompts:
            flat = [hit for prompt in prompts for hit in hits[prompt]]
            share = wilson(float(np.mean(flat)), len(flat))
            print(f"{title}: {share.value:.1%} ({share.low:.1%} to {share.high:.1%}) of {len(flat)} have the colour")
    if asked.sheet is not None:
        # (18 · 6) images: a row for each shape, six of each colour
        asked.sheet.write_bytes(png(sheet(np.concatenate(rows), columns=36)))


if __name__ == "__main__":
    main()
