"""diffusers as its users train it: a plain loop around the network of its unconditional example.

    python -m recipe_study.theirs TRAIN.npz FOLDER --for 600 [--seed 0] [--width 128]

The network, AdamW with its settings, the cosine rate, ``EMAModel`` and clipping are those of
``examples/unconditional_image_generation``, with class embeddings if there are classes. Kindnesses: batches of 64 (16
in the example), autocast in bf16 where the device computes it natively, all images in memory, a warm-up that takes at
most a tenth of the time, and a rate that reaches 0 when the time is up. The network has as many of the example's six
levels as the side can be halved for.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

MULTIPLIERS = (1, 1, 2, 2, 4, 4)
BATCH, WARMUP, RATE = 64, 500, 1e-4
SAVING = 0.02
"""The share of the time reserved for writing the weights."""


def network(size: int, channels: int, classes: int, width: int) -> Any:
    """The example's U-Net for square images: attention at the second coarsest level."""
    from diffusers import UNet2DModel

    levels = min(len(MULTIPLIERS), (size & -size).bit_length())
    attention = max(0, levels - 2)
    kinds = ["Attn" if level == attention else "" for level in range(levels)]
    return UNet2DModel(
        sample_size=size,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=2,
        block_out_channels=tuple(width * m for m in MULTIPLIERS[:levels]),
        down_block_types=tuple(f"{kind}DownBlock2D" for kind in kinds),
        up_block_types=tuple(f"{kind}UpBlock2D" for kind in reversed(kinds)),
        num_class_embeds=classes or None,
    )


def cast(device: torch.device) -> torch.autocast:
    """bf16 where it is native."""
    from ddpm.system.device import best_precision

    return torch.autocast(device.type, torch.bfloat16, enabled=best_precision(device)[0] == "bf16")


def train(pixels: np.ndarray, labels: np.ndarray | None, folder: Path, until: float, seed: int, width: int) -> None:
    """Train until this ``time.monotonic()``, and save the averaged weights."""
    from diffusers import DDPMScheduler
    from side_by_side.theirs import averaged

    from ddpm.system.device import best_device

    torch.manual_seed(seed)
    device, began = best_device(), time.monotonic()
    # (N, H, W, C) uint8 -> (N, C, H, W) in [-1, 1]
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(127.5).sub(1).to(device)
    named = None if labels is None else torch.from_numpy(labels).to(device)
    classes = 0 if labels is None else int(labels.max()) + 1
    net = network(images.shape[-1], images.shape[1], classes, width).to(device)
    ema = averaged(net)
    noise_scheduler = DDPMScheduler(num_train_timesteps=1000)
    adam = torch.optim.AdamW(net.parameters(), lr=RATE, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8)
    step = 0
    while not step or time.monotonic() < until:
        done = min(1.0, (time.monotonic() - began) / max(until - began, 1e-9))
        for group in adam.param_groups:
            warm = max((step + 1) / WARMUP, done / 0.1)
            group["lr"] = RATE * min(1.0, warm, 0.5 + 0.5 * math.cos(math.pi * done))
        rows = torch.randint(len(images), (BATCH,), device=device)
        clean = images[rows]
        noise, t = torch.randn_like(clean), torch.randint(0, 1000, (BATCH,), device=device)
        noisy = noise_scheduler.add_noise(clean, noise, t)
        with cast(device):
            found = net(noisy, t, class_labels=None if named is None else named[rows]).sample
        loss = torch.nn.functional.mse_loss(found.float(), noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        ema.step(net.parameters())
        step += 1
    loss.item()  # waits for the device
    facts = {"images": step * BATCH, "training_seconds": time.monotonic() - began}
    ema.copy_to(net.parameters())
    net.save_pretrained(folder)
    (folder / "training.json").write_text(json.dumps(facts))


def ddim() -> tuple[Any, int]:
    from diffusers import DDIMScheduler

    return DDIMScheduler(timestep_spacing="trailing"), 50


def dpm() -> tuple[Any, int]:
    from diffusers import DPMSolverMultistepScheduler

    return DPMSolverMultistepScheduler(timestep_spacing="trailing"), 20


SAMPLERS: dict[str, Callable[[], tuple[Any, int]]] = {"DDIM 50": ddim, "DPM-Solver++ 20": dpm}
"""Name -> the scheduler, of the linear schedule of training, and its number of steps."""


@torch.no_grad()
def draw(folder: Path, sampler: str, labels: np.ndarray | None, n: int, seed: int) -> np.ndarray:
    """Sample n images of these classes, (n, H, W, C) uint8."""
    from diffusers import UNet2DModel

    from ddpm.system.device import best_device

    device = best_device()
    net = UNet2DModel.from_pretrained(folder).to(device).eval()
    shape = net.config.in_channels, net.config.sample_size, net.config.sample_size
    generator, parts = torch.Generator().manual_seed(seed), []
    for first in range(0, n, BATCH):
        many = min(BATCH, n - first)
        asked = None if labels is None else torch.from_numpy(labels[first : first + many]).to(device)
        scheduler, steps = SAMPLERS[sampler]()
        scheduler.set_timesteps(steps, device=device)
        x = torch.randn((many, *shape), generator=generator).to(device)
        for t in scheduler.timesteps:
            with cast(device):
                eps = net(x, t, class_labels=asked).sample
            x = scheduler.step(eps.float(), t, x).prev_sample
        parts.append(((x.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(parts)


def main() -> None:
    # when the process started, before its imports
    began = time.monotonic() - (time.time() - psutil.Process().create_time())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="an .npz of images (N, H, W, C), and labels if there are any")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--for", type=float, required=True, dest="seconds", help="seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--width", type=int, default=128, help="channels at the finest level, a multiple of 32")
    args = parser.parse_args()
    with np.load(args.data) as file:
        pixels, labels = file["images"], file.get("labels")
    if pixels.shape[1] != pixels.shape[2]:
        raise SystemExit(
            f"diffusers' network is for square images, not {pixels.shape[1]} × {pixels.shape[2]}; use --size"
        )
    until = began + (1 - SAVING) * args.seconds
    train(pixels, labels, args.folder, until, args.seed, args.width)


if __name__ == "__main__":
    main()
