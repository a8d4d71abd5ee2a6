"""Bits per dimension through the pipeline."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.tiny import loaded

from ddpm import build
from ddpm.codec import PixelCodec
from ddpm.config.options import changed
from ddpm.config.run import RunConfig
from ddpm.core import Continuous, Denoised, Stream, discrete
from ddpm.core.continuous import VP
from ddpm.core.stream import RowStreams
from ddpm.engine.diffusion import Diffusion
from ddpm.guidance import Clipped
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import picture
from ddpm.metrics.likelihood import ProbabilityFlow, bits_per_dim
from ddpm.objectives.bound import bound, sampled_pairs
from ddpm.pipeline import Pipeline
from ddpm.sampling import SampleNoise, rows_of
from ddpm.sampling.grid import uniform
from ddpm.system.errors import InputError
from ddpm.tasks.likelihood import choices, likelihood
from ddpm.tasks.likelihood_settings import settle
from refusal import refuses

SHAPE = (1, 8, 8)


def encoded(images: Pixels) -> torch.Tensor:
    """(B, H, W, C) to (B, C, H, W), from 0 … 255 to [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def denoiser(pipe: Pipeline):
    return pipe.run.engine.model.denoiser(pipe.run.engine.parameterisation)


def under(pipe: Pipeline, config: RunConfig) -> Pipeline:
    """The same weights under other settings."""
    engine = Diffusion.of(config, pipe.run.engine.model, torch.device("cpu"))
    return Pipeline(replace(pipe.run, engine=engine, config=config))


def label(pipe: Pipeline, number: int, n: int):
    return pipe.run.engine.model.cond({"label": torch.full((n,), number)}, n)


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("number", [None, 3])
def test_it_is_the_bound_taken_by_hand(pipe: Pipeline, images: Pixels, clip: bool, number: int | None) -> None:
    """Clipped unless told otherwise, on the grid of Nichol & Dhariwal; without a label, of the null label."""
    denoise = Clipped(denoiser(pipe)) if clip else denoiser(pipe)
    n = len(images)
    cond = label(pipe, len(pipe.classes) if number is None else number, n)
    grid = uniform(discrete.cosine(1000), 4)
    byhand = bound(denoise, encoded(images), grid, SampleNoise(rows_of(5, range(n)), SHAPE), cond)
    found = pipe.bits_per_dim(images, labels=number, steps=4, seed=5, clip=clip)
    assert found.dtype == torch.float32
    assert torch.equal(found, byhand.total)


@pytest.mark.parametrize(("variance", "fixed"), [("small", 0.0), ("large", 1.0)])
def test_a_fixed_variance_takes_the_place_of_the_runs_own(
    variance: str, fixed: float, pipe: Pipeline, images: Pixels
) -> None:
    """Of the same x0; what a network has learned of the variance is then not read."""
    tree = pipe.config.model_dump()
    tree["diffusion"]["variance"], tree["objective"]["loss"]["name"] = "learned", "hybrid"
    tree["network"]["out_channels"] = 2
    config = RunConfig.model_validate(tree)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build.build_model(config).eval()
        for p in model.parameters():
            p.data += 0.1 * torch.randn_like(p)
    learner = Pipeline(replace(pipe.run, engine=Diffusion.of(config, model, torch.device("cpu")), config=config))
    grid, n = uniform(discrete.cosine(1000), 4), len(images)
    for made in (pipe, learner):
        denoise = denoiser(made)
        x0_alone = Clipped(lambda *given, denoise=denoise: Denoised(denoise(*given).x0))
        noise = SampleNoise(rows_of(5, range(n)), SHAPE)
        byhand = bound(x0_alone, encoded(images), grid, noise, label(made, 10, n), fixed)
        assert torch.equal(made.bits_per_dim(images, steps=4, seed=5, variance=variance), byhand.total)
    own = learner.bits_per_dim(images, steps=4, seed=5)
    assert torch.equal(own, learner.bits_per_dim(images, steps=4, seed=5, variance="learned"))
    assert not torch.isclose(own, byhand.total).any()


def test_drawn_terms_are_the_ones_of_each_image(pipe: Pipeline, images: Pixels) -> None:
    n = len(images)
    u = torch.stack([Stream(5, "terms", i).uniform(2) for i in range(n)])
    grid = uniform(discrete.cosine(1000), 6)
    pairs = sampled_pairs(grid, u)
    noise = SampleNoise(rows_of(5, range(n)), SHAPE)
    byhand = bound(Clipped(denoiser(pipe)), encoded(images), grid, noise, label(pipe, 10, n), pairs=pairs)
    assert torch.equal(pipe.bits_per_dim(images, steps=6, terms=2, seed=5), byhand.total)
    assert torch.equal(choices(5, range(n), 2), u)


def test_the_ode_is_the_one_taken_by_hand(pipe: Pipeline, images: Pixels) -> None:
    n, rough = len(images), 1e-2
    flow = ProbabilityFlow(denoiser(pipe), discrete.cosine(1000), rtol=rough, atol=rough)
    byhand = bits_per_dim(flow, encoded(images[:n]), 5, range(n), 1, label(pipe, 10, n))
    how = settle(pipe.config, "ode", seed=5).model_copy(update={"tolerance": rough})
    found = likelihood(pipe.run, how, images[:n], None, list(range(n)))
    assert torch.equal(found["bits"], byhand[0].float())
    assert found["calls"].tolist() == n * [byhand[1]]


def test_the_ode_in_continuous_time_is_the_one_taken_by_hand(pipe: Pipeline, images: Pixels) -> None:
    """From the time that is asked for; more probes are other draws."""
    n, rough = len(images), 1e-2
    vp = pipe.config.diffusion.model_copy(update={"schedule": "vp"})
    other = under(pipe, pipe.config.model_copy(update={"diffusion": vp}))
    for start, probes in ((1e-5, 1), (1e-3, 2)):
        flow = ProbabilityFlow(denoiser(pipe), Continuous(VP()), rough, rough, 1000 * start)
        byhand = bits_per_dim(flow, encoded(images), 5, range(n), probes, label(pipe, 10, n))
        found = other.bits_per_dim(images, "ode", seed=5, start=start, tolerance=rough, probes=probes)
        assert torch.equal(found, byhand[0].float())


@pytest.mark.parametrize("given", [{"steps": 5}, {"steps": 9, "terms": 3}, {"steps": 5, "labels": "3"}], ids=str)
def test_an_image_alone_has_the_bits_that_it_has_among_others(pipe: Pipeline, images: Pixels, given) -> None:
    together = pipe.bits_per_dim(images, **given)
    for i in (0, 17):
        assert torch.equal(pipe.bits_per_dim(images[i : i + 1], indices=[i], **given), together[i : i + 1])
    assert torch.equal(pipe.bits_per_dim(images, batch=7, **given), together)


def test_an_image_alone_has_the_ode_that_it_has_among_others(pipe: Pipeline, images: Pixels) -> None:
    """Bit for bit: the batch is filled up, and each image has its own steps."""
    together = pipe.bits_per_dim(images, "ode", batch=len(images), tolerance=1e-3)
    for i in (0, 17):
        assert torch.equal(
            pipe.bits_per_dim(images[i : i + 1], "ode", indices=[i], tolerance=1e-3), together[i : i + 1]
        )


def test_noise_is_the_indexs_own(pipe: Pipeline, images: Pixels) -> None:
    twice = images[[0, 0]]
    first, second = pipe.bits_per_dim(twice, steps=3)
    assert first != second
    assert torch.equal(
        pipe.bits_per_dim(twice, steps=3, indices=[4, 4]), pipe.bits_per_dim(twice, steps=3, indices=[4, 4])
    )
    first, second = pipe.bits_per_dim(twice, steps=3, indices=[4, 4])
    assert first == second
    assert not torch.equal(pipe.bits_per_dim(twice, steps=3, seed=1), pipe.bits_per_dim(twice, steps=3))


def test_drawn_terms_are_right_on_average(pipe: Pipeline, images: Pixels) -> None:
    """Over 120 draws the mean is within 4 standard errors of that of all terms, for each of two images.

    By the same noise both have the same prior and, on average, the same decoder's part.
    """
    draws = 120
    rows = images[[0, 1] * 8]  # at eight indices, which are eight draws
    few, whole = [], []
    for seed in range(draws // 8):
        few.append(pipe.bits_per_dim(rows, steps=8, terms=3, seed=seed))
        whole.append(pipe.bits_per_dim(rows, steps=8, seed=seed))
    # rows alternate between the two images
    difference = (torch.cat(few) - torch.cat(whole)).double().reshape(draws, 2)
    error = difference.std(0) / draws**0.5
    assert (difference.mean(0).abs() < 4 * error).all()
    # terms of two or three pairs that counted for one would be noticed
    assert (4 * error < torch.cat(whole).mean() / 2).all()


def test_a_label_changes_the_bits(pipe: Pipeline, images: Pixels) -> None:
    none = pipe.bits_per_dim(images, steps=3)
    each = pipe.bits_per_dim(images, steps=3, labels=[i % 10 for i in range(len(images))])
    threes = pipe.bits_per_dim(images, steps=3, labels="3")
    assert (none != threes).all()
    assert each[3] == threes[3]
    assert each[13] == threes[13]
    assert each[4] != threes[4]


def test_guidance_is_not_used(pipe: Pipeline, images: Pixels) -> None:
    guided = changed(pipe.config.sampling, {"guidance": 3.0})
    other = under(pipe, pipe.config.model_copy(update={"sampling": guided}))
    assert torch.equal(other.bits_per_dim(images, steps=3, labels="3"), pipe.bits_per_dim(images, steps=3, labels="3"))


def test_the_runs_variance_decides(pipe: Pipeline, images: Pixels) -> None:
    large = pipe.config.diffusion.model_copy(update={"variance": "large"})
    other = under(pipe, pipe.config.model_copy(update={"diffusion": large}))
    n = len(images)
    grid, noise = uniform(discrete.cosine(1000), 4), SampleNoise(rows_of(0, range(n)), SHAPE)
    byhand = bound(Clipped(denoiser(pipe)), encoded(images), grid, noise, label(pipe, 10, n), fixed=1.0)
    assert torch.equal(other.bits_per_dim(images, steps=4), byhand.total)


def test_where_the_bits_come_from(pipe: Pipeline, images: Pixels) -> None:
    answer = likelihood(pipe.run, settle(pipe.config, steps=5), images[:3], None, [0, 1, 2])
    assert answer["calls"].tolist() == [5, 5, 5]
    assert answer["terms"].shape == answer["x0_mse"].shape == (3, 5)
    assert torch.equal(answer["bits"], answer["prior"] + answer["terms"].sum(1))


def test_progress(pipe: Pipeline, images: Pixels) -> None:
    seen: list[tuple[int, int]] = []
    pipe.bits_per_dim(images, steps=3, batch=10, progress=lambda *now: seen.append(now))
    assert seen == [(i, 6) for i in range(1, 7)]
    seen.clear()
    rough = settle(pipe.config, "ode").model_copy(update={"tolerance": 0.1})
    likelihood(pipe.run, rough, images[:1], None, [0], lambda *now: seen.append(now))
    assert all(total == 0 for _, total in seen)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


# what images may be


def test_pictures_are_as_good_as_their_values(pipe: Pipeline, images: Pixels) -> None:
    pictures = [picture(image) for image in images]
    assert torch.equal(pipe.bits_per_dim(pictures, steps=2), pipe.bits_per_dim(images, steps=2))
    assert torch.equal(pipe.bits_per_dim(pictures[0], steps=2), pipe.bits_per_dim(images[:1], steps=2))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Image.new("L", (8, 9)), r'image 0 is 9 × 8 L, but the run needs 8 × 8 L.*convert\("L"\).resize\(\(8, 8\)\)'),
        ([Image.new("L", (8, 8)), Image.new("RGB", (8, 8))], "image 1 is 8 × 8 RGB"),
        (np.zeros((2, 8, 8, 3), np.uint8), "image 0 is 8 × 8 RGB"),
        (np.zeros((2, 8, 8, 1), np.int32), r"the array has the type int32; .*uint8"),
        ([], r"no pictures"),
        (np.zeros((0, 8, 8, 1), np.uint8), r"no pictures"),
    ],
    ids=["size", "mode", "channels", "type", "no pictures", "empty array"],
)
def test_a_wrong_image_is_refused(pipe: Pipeline, wrong, said: str) -> None:
    with pytest.raises(InputError, match=said):
        pipe.bits_per_dim(wrong)


def test_other_refusals(pipe: Pipeline, images: Pixels) -> None:
    for given, said in {
        ("indices", (1, 2)): "2 indices for 18 images",
        ("batch", 0): "batch is 0",
        ("labels", "11"): "label '11'",
        ("steps", 1001): "steps 1001.* 1 to 1000",
    }.items():
        with pytest.raises(InputError, match=said):
            pipe.bits_per_dim(images, **dict([given]))


def test_a_null_label_that_was_never_trained_says_nothing(pipe: Pipeline, images: Pixels) -> None:
    training = replace(pipe.config.training, label_dropout=0.0)
    other = under(pipe, pipe.config.model_copy(update={"training": training}))
    with refuses("missing"):
        other.bits_per_dim(images, steps=2)
    assert torch.equal(other.bits_per_dim(images, steps=2, labels=1), pipe.bits_per_dim(images, steps=2, labels=1))


def test_a_null_caption_that_was_never_trained_says_nothing(images: Pixels) -> None:
    run = loaded("L", text=True)
    training = replace(run.config.training, label_dropout=0.0)
    never = replace(run, config=run.config.model_copy(update={"training": training}))
    with refuses("incompatible", "captions"):
        Pipeline(never).bits_per_dim(images, labels=1, steps=2)


@dataclass(frozen=True)
class Mirrored:
    """Pixels in another order."""

    moments: None = None

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return PixelCodec().encode(images).flip(-1)

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        return PixelCodec().decode(x.flip(-1))

    def sample(self, stored: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        return self.encode(stored)


def test_the_codec_encodes_the_images_that_are_measured(pipe: Pipeline, images: Pixels) -> None:
    mirrored = Pipeline(replace(pipe.run, engine=replace(pipe.run.engine, codec=Mirrored())))
    flipped = np.ascontiguousarray(images[:, :, ::-1])
    assert torch.equal(mirrored.bits_per_dim(flipped, steps=2), pipe.bits_per_dim(images, steps=2))
