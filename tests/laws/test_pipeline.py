"""Through a real network: an image does not depend on its batch, nor on what other threads do."""

from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from threading import Barrier

import numpy as np
import pytest
from tests import tiny
from tests.tiny import CLASSES

from ddpm.pipeline import Pipeline
from ddpm.records.provenance import KEY, Provenance

from .every import GRIDS


@pytest.fixture(scope="module", params=["unet", "dit"])
def pipeline(request) -> Pipeline:
    return tiny.pipeline("RGB", steps=5, kind=request.param)


def pixels(images) -> np.ndarray:
    """(N, H, W, C) of small integers with a sign."""
    return np.stack([np.asarray(image) for image in images]).astype(int)


HOW = [
    {"solver": "ddim", "eta": 0.0},
    {"solver": "ddim", "eta": 0.7, "guidance": 3.0},
    {"solver": "ancestral"},
    {"solver": "ancestral-large", "guidance": 2.0, "clip": False},
    {"solver": "dpm++-2m", "guidance": 2.0, "precision": "bf16"},
    {"solver": "adaptive", "tolerance": 0.05, "steps": 3, "guidance": 2.0, "guidance_interval": (0.3, 3.0)},
]


@pytest.mark.parametrize("how", HOW, ids=str)
def test_an_image_of_a_batch_is_the_image_alone(pipeline, how):
    """To the last of 8 bits, where rounding at the edge of two values may differ with the order of sums."""
    labels = [CLASSES[i % 3] for i in range(16)]
    together = pixels(pipeline.sample(16, label=labels, seed=5, **how))
    assert together.std() > 20
    assert (together[:3] != together[3:6]).mean() > 0.5
    for i in (0, 9):
        alone = pixels(pipeline.sample(1, label=labels[i], seed=5, indices=[i], **how))
        assert np.abs(alone[0] - together[i]).max() <= 1
        assert (alone[0] != together[i]).mean() < 0.01
    in_parts = pixels(pipeline.sample(16, label=labels, seed=5, batch=10, **how))
    assert np.abs(in_parts - together).max() <= 1


def test_the_order_of_images_is_theirs(pipeline):
    there, back = pipeline.sample(3, seed=5, indices=[4, 9, 2]), pipeline.sample(3, seed=5, indices=[2, 9, 4])
    assert np.abs(pixels(there) - pixels(back)[::-1]).max() <= 1
    assert np.abs(pixels(there)[0] - pixels(there)[1]).max() > 1


AT_ONCE = [
    *({"solver": solver} for solver in ("dpm++-3m", "unipc-3", "deis-3", "ipndm-4", "dpm-solver-3", "heun")),
    *({"solver": solver} for solver in ("sde-dpm++-3m", "edm", "langevin", "euler-ancestral")),
    {"solver": "adaptive", "tolerance": 0.05},
    {"solver": "unipc-2", "guidance": 3.0},
    {"solver": "ancestral", "guidance": 2.0, "guidance_rescale": 0.7},
    {"solver": "dpm++-2m", "guidance": 2.0, "guidance_interval": (0.3, 3.0)},
    {"solver": "edm", "guidance": 2.0, "threshold": 0.9},
    {"solver": "adaptive", "guidance": 2.0, "tolerance": 0.05},
]
"""Solvers that remember, that draw noise, that choose their steps, and guidance: one for each of sixteen threads."""


def test_sixteen_threads_draw_what_one_draws(pipeline):
    """Byte for byte, all begun at the same moment, on every grid."""
    requests = [
        {"seed": seed, "label": CLASSES[seed % 3], "grid": grid, **how}
        for seed, (how, grid) in enumerate(zip(AT_ONCE, cycle(GRIDS), strict=False))
    ]
    in_turn = [pixels(pipeline.sample(2, **request)) for request in requests]
    together = Barrier(len(requests))

    def draw(request):
        together.wait(60)
        return pixels(pipeline.sample(2, **request))

    with ThreadPoolExecutor(len(requests)) as threads:
        at_once = list(threads.map(draw, requests))
    differ = [str(how) for how, a, b in zip(AT_ONCE, in_turn, at_once, strict=True) if not np.array_equal(a, b)]
    assert not differ
    assert len({image.tobytes() for image in in_turn}) == 16


def test_the_negative_takes_the_place_of_the_null_label(pipeline):
    """At scale 0 the negative alone is left; and its name is on record, whichever way it was given."""
    alone = pixels(pipeline.sample(1, label="circle", guidance=1.0))
    assert np.abs(pixels(pipeline.sample(1, label="star", guidance=0.0, negative="circle")) - alone).max() <= 1
    by_number = pipeline.sample(1, label="star", guidance=3.0, negative=0)
    assert np.array_equal(pixels(by_number), pixels(pipeline.sample(1, label="star", guidance=3.0, negative="circle")))
    assert Provenance.model_validate_json(by_number[0].info[KEY]).sampling.guidance.negative == "circle"


def test_guidance_reaches_the_picture(pipeline):
    """Scale 1 is the class, 0 no class in particular, and 3 neither."""
    one, none, much = (pixels(pipeline.sample(2, label="star", guidance=g)) for g in (1.0, 0.0, 3.0))
    assert np.array_equal(one, pixels(pipeline.sample(2, label=2)))
    # both halves of a doubled batch go through the network, whose sums may be ordered otherwise
    assert np.abs(none - pixels(pipeline.sample(2))).max() <= 1
    assert all(np.abs(a - b).max() > 1 for a, b in [(one, none), (one, much), (none, much)])


OPTIONS = [
    {"negative": "circle"},
    {"guidance_interval": (0.3, 3.0)},
    {"guidance_rescale": 1.0},
    {"guidance_parallel": 0.0},
    {"guidance_norm": 0.5},
    {"threshold": 0.8},
]


def test_options_of_guidance_and_clipping_reach_the_picture_and_its_record(pipeline):
    usual = {"label": "star", "guidance": 3.0}
    without = pixels(pipeline.sample(1, **usual))
    for option in OPTIONS:
        [image] = pipeline.sample(1, **usual, **option)
        assert np.abs(pixels([image]) - without).max() > 1, option
        assert pipeline.again(Provenance.model_validate_json(image.info[KEY])).tobytes() == image.tobytes(), option
