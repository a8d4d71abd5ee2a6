"""Compare ddpm's Inception features with torch-fidelity's, on the same random weights and images.

    pip install --no-deps --target PEER torch-fidelity
    python benchmarks/inception_agreement.py PEER [--record FILE]

Only the peer's network is imported, which needs neither its other dependencies nor torchvision. ``--record`` writes
some of the peer's numbers where tests/metrics/features compares ours with them.
"""

import argparse
import sys
import tempfile
import time
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import save_file

sys.path.append(str(Path(__file__).parents[1]))

from tests.metrics.features.random_inception import SIZES, random_images, random_weights

from ddpm.metrics.features.inception import Inception
from ddpm.metrics.features.inception_blocks import InceptionV3

BATCH = 4
"""Images of each size."""


def load_peer(folder: Path, state: dict[str, torch.Tensor]) -> Any:
    """Load torch-fidelity's network with these weights, without the rest of its package."""
    package = ModuleType("torch_fidelity")
    package.__path__ = [str(folder / "torch_fidelity")]
    sys.modules["torch_fidelity"] = package
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with tempfile.TemporaryDirectory() as timestep:
        torch.save(state, Path(timestep) / "weights.pth")
        return FeatureExtractorInceptionV3("peer", ["2048", "logits_unbiased"], str(Path(timestep) / "weights.pth"))


def compare(name: str, ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Print a row: the largest difference, over the root mean square of the features, and over their spread."""
    error = (ours - theirs).abs().max()
    scale = theirs.square().mean().sqrt()
    spread = theirs.std(0).square().mean().sqrt()
    print(f"| {name} | {scale:.3g} | {spread:.3g} | {error:.1e} | {error / scale:.1e} | {error / spread:.1e} |")


def in_float64(peer: Any, state: dict[str, torch.Tensor]) -> None:
    """Print a row: the two networks alone, at 299 × 299 where nothing is resized."""
    net = InceptionV3().eval()
    net.load_state_dict(state, strict=False)
    images = random_images(2, 299, 299).movedim(-1, 1)
    peer.double().feature_extractor_internal_dtype = torch.float64
    with torch.no_grad():
        compare("299 × 299, float64", net.double()((images.double() - 128) / 128).float(), peer(images)[0])
    peer.float().feature_extractor_internal_dtype = torch.float32


def record(peer: Any, path: Path, version: str) -> None:
    """Record every 16th feature and logit of one image of each size."""
    found = [peer(random_images(1, *size).movedim(-1, 1)) for size in SIZES]
    features, logits = (torch.cat(parts)[:, ::16].contiguous() for parts in zip(*found, strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"features": features, "logits": logits}, path, {"peer": f"torch-fidelity {version}, every 16th"})


def speed(ours: Inception, peer: Any) -> None:
    """Time images per second at 32 × 32, the best of three turns each."""
    images = random_images(16, 32, 32)
    best = {"ddpm": 0.0, "torch-fidelity": 0.0}
    for _ in range(3):
        for name, act in (("ddpm", lambda: ours(images)), ("torch-fidelity", lambda: peer(images.movedim(-1, 1)))):
            start = time.perf_counter()
            act()
            best[name] = max(best[name], len(images) / (time.perf_counter() - start))
    threads = torch.get_num_threads()
    print(", ".join(f"{name} {rate:.1f}" for name, rate in best.items()), f"images a second, {threads} threads")


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("peer", type=Path, help="where torch-fidelity was installed")
    parse.add_argument("--record", type=Path, help="write some of the peer's numbers to this .safetensors file")
    parse.add_argument("--threads", type=int, default=2)
    args = parse.parse_args()
    torch.set_num_threads(args.threads)
    installed = list(distributions(name="torch-fidelity", path=[str(args.peer)]))
    if not installed:
        parse.error(f"torch-fidelity is not in {args.peer}; see above for how to install it there")

    state = random_weights()
    ours, peer = Inception(state, torch.device("cpu")), load_peer(args.peer, state)
    print("| images | root mean square | spread over images | greatest difference | over the first | over the second |")
    print("|---|---:|---:|---:|---:|---:|")
    for height, width in ((32, 32), (8, 8), (75, 100), (299, 299)):
        images = random_images(BATCH, height, width)
        features, logits = peer(images.movedim(-1, 1))
        mine = ours(images)
        compare(f"{height} × {width}, features", mine, features)
        compare(f"{height} × {width}, logits", ours.logits(mine), logits)
    in_float64(peer, state)
    print()
    speed(ours, peer)
    if args.record:
        record(peer, args.record, installed[0].version)


if __name__ == "__main__":
    main()
