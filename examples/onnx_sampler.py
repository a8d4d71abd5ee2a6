"""Sample from a run that ``ddpm export RUN --to onnx`` wrote, with NumPy, ONNX Runtime and Pillow alone.

    python examples/onnx_sampler.py exported --label cat --guidance 2 --seed 1

DDIM (Song et al. 2021) at the timesteps of the run, from the noise that ``ddpm`` draws for the same seed: the images
are those of ``ddpm sample RUN --solver ddim``. Writes 0.png, 1.png … into the working directory.
"""

import argparse
import hashlib
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image


def noise(seed: int, number: int, shape: list[int]) -> np.ndarray:
    """The noise of an image of a seed."""
    name = f"{seed},'image',{number}".encode()
    key = int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key)).standard_normal(shape, dtype=np.float32)


def sample(folder: Path, n: int, seed: int = 0, guidance: float | None = None, **given: object) -> np.ndarray:
    """n images, (n, H, W, C) in [-1, 1], with the given conditions: ``label=3``, ``caption=`` (L, K) …"""
    run = json.loads((folder / "sampler.json").read_text())
    inputs, guided = run["inputs"]["denoiser"], run["guidance"]
    scale = guided["scale"] if guidance is None else guidance
    low, high = guided["interval"] or (0, np.inf)
    net = onnxruntime.InferenceSession(folder / "denoiser.onnx")

    def conditions(chosen: dict[str, object]) -> dict[str, np.ndarray]:
        if missing := [kind for kind, value in chosen.items() if value is None]:
            raise SystemExit(f"this model needs a {' and a '.join(missing)}, and was never trained without")
        values = {kind: np.array(value, inputs[kind]["dtype"]) for kind, value in chosen.items()}
        return {kind: np.broadcast_to(value, (n, *inputs[kind]["shape"])) for kind, value in values.items()}

    def predict(x: np.ndarray, at: dict[str, float], chosen: dict[str, object]) -> np.ndarray:
        t = np.full(n, at["t"], np.float32)
        output = net.run(None, {"x": np.float32(at["scale"] * x), "t": t, **conditions(chosen)})[0][:, : x.shape[1]]
        return (at["b"] * x - at["sigma"] * output) / (at["b"] * at["alpha"] - at["a"] * at["sigma"])

    levels = [dict(zip(run["grid"], row, strict=True)) for row in zip(*run["grid"].values(), strict=True)]
    x = levels[0]["sigma"] * np.stack([noise(seed, i, run["shape"]) for i in range(n)])
    for now, following in pairwise(levels):
        x0 = predict(x, now, run["defaults"] | given)
        if given and scale != 1 and low * now["alpha"] <= now["sigma"] <= high * now["alpha"]:
            unguided = predict(x, now, guided["away"])
            x0 = unguided + scale * (x0 - unguided)
        x0 = x0.clip(-1, 1) if run["clip"]["kind"] == "range" else x0
        x = following["alpha"] * x0 + following["sigma"] * (x - now["alpha"] * x0) / now["sigma"]
    if "decoder" in run["inputs"]:
        x = onnxruntime.InferenceSession(folder / "decoder.onnx").run(None, {"z": np.float32(x)})[0]
    if run["premultiplied"]:  # colours by alpha, 0 … 2 each
        opaque = (x[:, 3:] + 1).clip(1 / 255, 2)
        x[:, :3] = 2 * (x[:, :3] + 1) / opaque - 1
    return x.clip(-1, 1).transpose(0, 2, 3, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("-n", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--label")
    parser.add_argument("--guidance", type=float)
    words = parser.parse_args()
    classes = json.loads((words.folder / "sampler.json").read_text())["classes"]
    chosen = {} if words.label is None else {"label": classes.index(words.label)}
    for i, image in enumerate(sample(words.folder, words.n, words.seed, words.guidance, **chosen)):
        pixels = np.rint((image + 1) * 127.5).astype(np.uint8)
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(f"{i}.png")
