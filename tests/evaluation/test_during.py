"""The score of a run in training, on its few samples."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch

from ddpm import build
from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.core.condition import Conditions
from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.engine import Diffusion
from ddpm.evaluation import during
from ddpm.evaluation.during import few_samples
from ddpm.images.pixels import Pixels
from ddpm.metrics import kernel
from ddpm.metrics.features.extract import CHUNK
from ddpm.sampling.noise import Row
from ddpm.text.encoder import CaptionEncoder
from ddpm.text.weighting import parse
from ddpm.training.scoring import Scorer

CPU = torch.device("cpu")


class Means:
    """Features that a test can compute by itself: each channel's mean in each quarter of the image."""

    name = "means"
    hash = "0123456789abcdef"
    resize = "nothing"
    dim = 12

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        assert not torch.is_autocast_enabled("cpu")
        self.seen.append(images)
        return images.float().reshape(-1, 2, 4, 2, 4, 3).mean((2, 4)).flatten(1) / 64  # (B, 2 rows, 2 columns, C)


@pytest.fixture
def data() -> Dataset:
    """60 images of 8 × 8 in three classes, of which there are 30, 20 and 10."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8)
    labels = np.repeat(np.arange(3), (30, 20, 10))
    return Dataset(pixels, labels, ("a", "b", "c"), fingerprint="during")


@pytest.fixture
def config() -> RunConfig:
    return RunConfig.parse(
        {
            "recipe": "auto",
            "request": {},
            "data": {
                "source": "x",
                "fingerprint": "during",
                "images": 60,
                "held_out": 0,
                "size": [8, 8],
                "mode": "RGB",
                "classes": ["a", "b", "c"],
            },
            "diffusion": {},
            "network": {
                "in_channels": 3,
                "out_channels": 3,
                "width": 8,
                "multipliers": [1],
                "attention": [],
                "cond_width": 8,
            },
            "training": {"images": 1000, "batch": 32, "micro_batch": 32},
            "sampling": {"guidance": 3.0, "solver": "ancestral"},
            "scoring": {"every": 100, "samples": 48, "steps": 3},
        }
    )


@pytest.fixture
def model(config: RunConfig) -> Model:
    torch.manual_seed(0)
    made = build.build_model(config).eval()
    with torch.no_grad():
        for w in made.parameters():
            w.add_(0.05 * torch.randn_like(w))
    return made


def engine(config: RunConfig) -> Diffusion:
    """Of a run, with a model that is not to be drawn by."""
    return Diffusion.of(config, Model(torch.nn.Identity()), CPU)


@pytest.fixture
def means() -> Means:
    return Means()


@pytest.fixture
def scorer(config: RunConfig, data: Dataset, means: Means) -> Scorer:
    return few_samples(config, engine(config), data, means)


def seen(means: Means, n: int = 48) -> torch.Tensor:
    """The samples that were looked at last."""
    calls = -(-n // CHUNK)
    return torch.cat(means.seen[-calls:])[:n]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The settings, rows and conditions of all batches drawn."""
    calls: list[dict[str, Any]] = []
    draw = Diffusion.draw

    def spy(self: Diffusion, how: SamplingConfig, rows: list[Row], conditions: Conditions) -> Pixels:
        calls.append({"how": how, "rows": rows, "conditions": conditions})
        return draw(self, how, rows, conditions)

    monkeypatch.setattr(Diffusion, "draw", spy)
    return calls


def test_the_numbers_are_those_of_the_formulas(scorer: Scorer, means: Means, model: Model, data: Dataset) -> None:
    found = scorer(model, CPU)
    assert found.n == 48 == len(seen(means))
    x, y = (Means()(images).double().numpy() for images in (seen(means), torch.from_numpy(data.pixels)))
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(a @ b).real
    frechet = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * root)
    assert found.frechet == pytest.approx(frechet, rel=1e-6)
    k = {name: (p @ q.T / 12 + 1) ** 3 for name, p, q in (("xx", x, x), ("yy", y, y), ("xy", x, y))}
    within = [(k[s].sum() - np.trace(k[s])) / (n * (n - 1)) for s, n in (("xx", 48), ("yy", 60))]
    assert found.kid == pytest.approx(sum(within) - 2 * k["xy"].mean(), rel=1e-5)


def test_the_same_weights_have_the_same_score(scorer: Scorer, means: Means, model: Model) -> None:
    before = {name: w.clone() for name, w in model.state_dict().items()}
    state = torch.get_rng_state()
    once, images = scorer(model, CPU), seen(means)
    again = scorer(model, CPU)
    assert once == again
    assert torch.equal(images, seen(means))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(w, before[name]) for name, w in model.state_dict().items())
    with torch.no_grad():
        next(model.parameters()).mul_(1.5)
    assert scorer(model, CPU) != once


def test_a_sample_is_the_same_whatever_the_batch(
    scorer: Scorer, config: RunConfig, model: Model, data: Dataset
) -> None:
    found = scorer(model, CPU)
    for batch in (16, 8):
        other = config.model_copy(update={"training": replace(config.training, micro_batch=batch)})
        assert few_samples(other, engine(other), data, Means())(model, CPU) == found


def test_more_samples_begin_with_the_same(
    scorer: Scorer, means: Means, config: RunConfig, model: Model, data: Dataset
) -> None:
    scorer(model, CPU)
    few = seen(means)
    assert config.scoring is not None
    more = config.model_copy(update={"scoring": replace(config.scoring, samples=80)})
    few_samples(more, engine(more), data, means)(model, CPU)
    assert torch.equal(seen(means, 80)[:48], few)


def test_they_are_not_the_samples_that_an_evaluation_draws(
    scorer: Scorer, config: RunConfig, model: Model, data: Dataset, drawn: list[dict[str, Any]]
) -> None:
    """Else the best would be chosen by the noise that it is judged by."""
    other = config.model_copy(update={"training": replace(config.training, seed=1)})
    for one in (scorer, few_samples(other, engine(other), data, Means())):
        one(model, CPU)
    seeds = [seed for call in drawn for seed, _ in call["rows"]]
    assert len(set(seeds[:48])) == len(set(seeds[48:])) == 1
    assert seeds[0] != seeds[48]
    assert min(seeds) not in range(10**6)


def test_they_are_drawn_the_same_way_in_every_run(scorer: Scorer, model: Model, drawn: list[dict[str, Any]]) -> None:
    """Fast, without the guidance and the solver that the run samples by; classes have their shares."""
    scorer(model, CPU)
    how = drawn[0]["how"]
    assert (how.solver.name, how.steps, how.grid, how.guidance, how.clips) == ("unipc-2", 3, "trailing", None, True)
    labels = [label for call in drawn for label in call["conditions"]["label"].tolist()]
    assert np.bincount(labels).tolist() == pytest.approx([24, 16, 8], abs=1)


def test_without_classes(config: RunConfig, data: Dataset, drawn: list[dict[str, Any]]) -> None:
    tree = config.model_dump()
    tree["data"]["classes"], tree["network"]["cond_width"] = (), None
    plain = RunConfig.parse(tree)
    scorer = few_samples(plain, engine(plain), replace(data, labels=None, classes=()), Means())
    assert np.isfinite(scorer(build.build_model(plain), CPU).frechet)
    assert all(call["conditions"] == {} for call in drawn)


def test_only_drawing_is_done_in_lower_precision(scorer: Scorer, model: Model) -> None:
    """Means refuses to look otherwise."""
    full = scorer(model, CPU)
    with torch.autocast("cpu", torch.bfloat16):
        half = scorer(model, CPU)
    assert half != full
    assert half.frechet == pytest.approx(full.frechet, rel=0.05)


def test_a_model_that_is_nearer_scores_less(scorer: Scorer, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples that are real images, blended with black less and less."""
    distances = []
    for share in (0.2, 0.5, 0.8, 1.0):
        blend = (share * data.pixels).astype(np.uint8)
        with monkeypatch.context() as patch:
            patch.setattr(during, "_drawn", lambda engine, recipe, indices, encode, now=blend: now[list(indices)])
            distances.append(scorer(torch.nn.Identity(), CPU).frechet)  # type: ignore[arg-type]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.1 * distances[0]


def test_real_images_are_looked_at_once(config: RunConfig, model: Model, data: Dataset) -> None:
    fresh, extractor = replace(data, fingerprint="once"), Means()
    first = few_samples(config, engine(config), fresh, extractor)
    assert sum(len(images) for images in extractor.seen) == 2 * CHUNK
    part = few_samples(config, engine(config), fresh.subset(np.arange(20)), extractor)
    assert len(extractor.seen) == 2
    assert first(model, CPU) != part(model, CPU)


def test_of_many_real_images_the_kernel_sees_some(
    config: RunConfig, model: Model, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(during, "REAL", 20)
    kept: list[torch.Tensor] = []
    estimate = kernel.estimate
    monkeypatch.setattr(kernel, "estimate", lambda x, y, counts: kept.append(y) or estimate(x, y, counts))
    for _ in range(2):
        few_samples(config, engine(config), data, Means())(model, CPU)
    a, b = kept
    assert a.shape == (20, 12)
    assert torch.equal(a, b)
    assert len(np.unique(a.numpy(), axis=0)) == 20


def test_captions_are_read_as_they_are(config: RunConfig, model: Model, data: Dataset) -> None:
    """Their parentheses weigh nothing, and no backslash is added to them."""
    prompts: list[str] = []

    def encode(asked: Sequence[str]) -> np.ndarray:
        prompts.extend(asked)
        return np.zeros((len(asked), 1), np.float32)

    captioned = replace(data, captions=("a (red:2) shape",) * len(data), encode=CaptionEncoder(encode))
    few_samples(config, engine(config), captioned, Means())(model, CPU)
    assert [parse(prompt) for prompt in set(prompts)] == [[("a (red:2) shape", 1.0)]]
