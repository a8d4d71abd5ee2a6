"""New images: what they depend on, what is written in them, and what is refused."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddpm.config.guidance import Guide
from ddpm.config.options import changed, flat
from ddpm.engine.autoguidance import early
from ddpm.engine.diffusion import Diffusion
from ddpm.engine.loading import load
from ddpm.engine.options import settings
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import NOTHING, Subjects
from ddpm.records.average import tracked
from ddpm.records.provenance import KEY, Provenance
from ddpm.records.run_folder import RunFolder, weights_hash
from ddpm.system.errors import InputError
from ddpm.tasks.generate import again, sample
from ddpm.training.checkpoint import Checkpoint, store
from refusal import refuses

FAST = {"steps": 3}
EARLIER = "step-000000008"


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(digits_run, tmp_path / "run")


def pixels(images: list[Image.Image]) -> list[bytes]:
    return [image.tobytes() for image in images]


def test_a_label_by_name_number_or_one_each(loaded: LoadedRun) -> None:
    by_name = pixels(sample(loaded, 2, label="7", **FAST))
    assert pixels(sample(loaded, 2, label=7, **FAST)) == by_name
    assert pixels(sample(loaded, 2, label=["7", 7], **FAST)) == by_name
    mixed = pixels(sample(loaded, 2, label=["7", "2"], **FAST))
    assert mixed[0] == by_name[0]
    assert mixed[1] != by_name[1]
    assert pixels(sample(loaded, 2, **FAST))[0] != by_name[0]


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"label": "seven"}, r"unknown label 'seven' \(known: 0, 1, 2"),
        ({"label": 10}, r"unknown label '10'"),
        ({"label": -1}, r"unknown label '-1'"),
        ({"label": "10"}, r"unknown label '10'"),
        ({"label": ["1", "2", "3"]}, r"3 labels for 2 images"),
        ({"guidance": 2.0}, r"guidance 2.0 .*--label with one of 0, 1"),
        ({"guidance_interval": (0.2, 5)}, r"guidance_interval \(0.2, 5\) .*--label"),
        ({"guidance_interval": (0.2, 5), "guidance": 1, "label": 0}, r"guidance_interval"),
        ({"negative": "seven", "label": 0, "guidance": 2}, r"unknown label 'seven' \(known: 0, 1, 2"),
        ({"negative": "7"}, r"negative 7 .*--label"),
        ({"negative": "7", "guidance": 1.0, "label": 0}, r"negative"),
        ({"negative": 7, "label": ["7", 7]}, r"negative .7. .*label"),
        ({"guide_with": "step-9", "guidance": 2}, r"step-9 .*: step-000000008, step-"),
        ({"guide_with": "/tmp", "guidance": 2}, r"guide_with /tmp"),
        ({"guide_with": "step-000000012", "guidance": 2}, r"guide_with step-000000012 .*same weights"),
        ({"guide_with": "step-000000008", "guidance": 1}, r"guide_with"),
        ({"step": 3}, r"unknown key 'step' \(did you mean 'steps'\?\)"),
        ({"solver": "dim"}, r"solver 'dim' is unknown \(did you mean 'ddim'\?\); .*, ddim, "),
        ({"grid": "even"}, r"grid must be 'uniform', .*'power', .* or timesteps such as 1000,700,400,100, not 'even'"),
        ({"steps": 0}, r"steps must be at least 1"),
        ({"steps": 1001}, r"steps must be between 1 and 1000"),
        ({"steps": "x"}, r"steps: .*integer"),
        ({"steps": 3, "grid": (900, 5)}, r"steps is 3, but the grid lists 2 timesteps; leave out --steps"),
        ({"grid": "1200,5"}, "the grid"),
        ({"grid": (5, 900)}, r"timesteps must .*, not 5,900"),
        ({"eta": 0.5, "solver": "ancestral"}, r"eta is an option of ddim"),
        ({"indices": [1]}, r"1 index for 2 images"),
        ({"indices": [0, -1]}, r"index -1"),
        ({"batch": 0}, r"batch is 0"),
    ],
)
def test_what_cannot_be_drawn(kwargs: dict[str, Any], said: str, loaded: LoadedRun) -> None:
    with pytest.raises(InputError, match=said) as caught:
        sample(loaded, 2, **kwargs)
    assert "\n" not in str(caught.value)


def test_no_images(loaded: LoadedRun) -> None:
    with refuses("invalid"):
        sample(loaded, 0)


@pytest.mark.parametrize(
    ("solver", "option"),
    [
        ("euler-ancestral", {"eta": 0.0}),
        ("edm", {"churn": 0.0}),
        ("adaptive", {"tolerance": 1e-5}),
    ],
)
def test_every_option_of_a_solver_has_an_effect(solver: str, option: dict[str, Any], loaded: LoadedRun) -> None:
    usual = {**FAST, "solver": solver, "clip": False}
    assert pixels(sample(loaded, 2, **usual)) != pixels(sample(loaded, 2, **usual, **option))


@pytest.mark.parametrize(
    "change",
    [
        {"solver": "ancestral"},
        {"steps": 4},
        {"grid": "quadratic"},
        {"grid": "log-snr"},
        {"grid": "karras"},
        {"grid": "beta"},
        {"grid": (1000, 600, 99.5)},
        {"eta": 1.0},
        {"guidance": 3.0},
        {"clip": False},
        {"seed": 1},
        {"label": "1"},
    ],
)
def test_every_setting_has_an_effect(change: dict[str, Any], loaded: LoadedRun) -> None:
    usual = {"label": "0", "steps": 3}
    # of several, as not every image is clipped on its way
    assert pixels(sample(loaded, 8, **usual)) != pixels(sample(loaded, 8, **usual | change))


@pytest.mark.parametrize("variance", ["small", "large"])
def test_ancestral_samples_have_the_runs_own_variance(variance: str, loaded: LoadedRun) -> None:
    diffusion = loaded.config.diffusion.model_copy(update={"variance": variance})
    config = loaded.config.model_copy(update={"diffusion": diffusion})
    run = replace(loaded, engine=Diffusion.of(config, loaded.engine.model, loaded.engine.device), config=config)
    own, *named = (
        pixels(sample(run, 2, solver=solver, steps=3)) for solver in ("ancestral", "ancestral-small", "ancestral-large")
    )
    assert own == named[variance == "large"]
    assert named[0] != named[1]


def test_places_say_how_many_steps_they_are(loaded: LoadedRun) -> None:
    """Whatever the run's own steps; as a text, numbers or with the same number of steps they are the same grid."""
    places = (1000.0, 700.0, 400.0, 100.0)
    calls: list[tuple[int, int]] = []
    wanted = sample(loaded, 2, grid=places, progress=lambda done, of: calls.append((done, of)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for same in ({"grid": "1000,700,400,100"}, {"grid": [1000, 700, 400, 100]}, {"grid": places, "steps": 4}):
        assert pixels(sample(loaded, 2, **same)) == pixels(wanted)


def test_image_i_does_not_depend_on_its_batch(loaded: LoadedRun) -> None:
    whole = sample(loaded, 5, label="4", eta=1.0, **FAST)
    assert pixels(sample(loaded, 5, label="4", eta=1.0, batch=2, **FAST)) == pixels(whole)
    assert pixels(sample(loaded, 2, label="4", eta=1.0, indices=[3, 1], **FAST)) == pixels([whole[3], whole[1]])


def test_each_image_says_how_it_was_made(loaded: LoadedRun) -> None:
    image = sample(loaded, 2, label=3, seed=5, solver="ancestral", **FAST)[1]
    record = Provenance.model_validate_json(image.info[KEY])
    assert (record.seed, record.index, record.label, record.weights) == (5, 1, "3", loaded.weights)
    assert (record.sampling.solver.name, record.sampling.steps) == ("ancestral", 3)
    same = sample(loaded, 1, label=record.label, seed=record.seed, indices=[record.index], **flat(record.sampling))
    assert pixels(same) == [image.tobytes()]


def test_a_picture_without_a_label_is_drawn_again(loaded: LoadedRun) -> None:
    """Though its settings have guidance, which was idle."""
    image = sample(loaded, 1, seed=5, **FAST)[0]
    record = Provenance.model_validate_json(image.info[KEY])
    assert record.label is None
    assert record.sampling.guidance_scale > 1
    assert again(loaded, record).tobytes() == image.tobytes()


def test_guided_by_an_earlier_checkpoint(loaded: LoadedRun, digits_run: Path) -> None:
    """By its name or path; it needs no label, and at scale 0 it is alone."""
    usual = {**FAST, "guide_with": EARLIER}
    guided = sample(loaded, 2, guidance=3.0, **usual)
    assert pixels(guided) != pixels(sample(loaded, 2, **FAST))
    by_path = sample(loaded, 2, guidance=3.0, **usual | {"guide_with": digits_run / "checkpoints" / EARLIER})
    assert pixels(by_path) == pixels(guided)
    bad = load(digits_run / "checkpoints" / EARLIER, "cpu")
    assert pixels(sample(loaded, 2, guidance=0.0, label=3, **usual)) == pixels(
        sample(bad, 2, guidance=1, label=3, **FAST)
    )
    record = Provenance.model_validate_json(guided[1].info[KEY])
    assert record.sampling.guidance is not None
    assert record.sampling.guidance.away_from == Guide(checkpoint=EARLIER, weights=bad.weights)
    assert again(loaded, record).tobytes() == guided[1].tobytes()


def test_guided_by_the_early_average(loaded: LoadedRun, run: Path) -> None:
    """At scale 0 it is alone: the weights that training saved, whatever the run's folder is called."""
    name, usual = "averages/step-000000001", {**FAST, "label": 3}
    alone = sample(loaded, 2, guidance=0.0, guide_with="early", **usual)
    for other in (name, run / f"{name}.safetensors"):
        found = sample(load(run, "cpu"), 2, guidance=0.0, guide_with=other, **usual)
        assert pixels(found) == pixels(alone)
    weights = tracked(run / f"{name}.safetensors")
    average = store(run / "averages" / "length-0", Checkpoint(1, {"ema": weights}, {}))
    assert pixels(sample(load(average, "cpu"), 2, guidance=1, **usual)) == pixels(alone)
    record = Provenance.model_validate_json(alone[0].info[KEY])
    assert record.sampling.guidance.away_from == Guide(checkpoint=name, weights=weights_hash(weights))


def test_a_run_without_averages_has_an_early_checkpoint_or_nothing(run: Path) -> None:
    shutil.rmtree(run / "averages")
    with refuses("missing", "early", EARLIER):
        sample(load(run, "cpu"), 1, guidance=2.0, guide_with="early", **FAST)
    shutil.copytree(run / "checkpoints" / EARLIER, run / "checkpoints" / "step-000000005")
    shutil.rmtree(run / "checkpoints" / EARLIER)
    assert early(RunFolder(run)) == "step-000000005"


def test_the_checkpoint_that_guides_is_known_by_its_weights(run: Path) -> None:
    loaded = load(run, "cpu")
    image = sample(loaded, 1, guide_with=EARLIER, guidance=2.0, **FAST)[0]
    record = Provenance.model_validate_json(image.info[KEY])
    checkpoint = run / "checkpoints" / EARLIER
    other = changed(record.sampling, {"guide_with": Guide(checkpoint=EARLIER, weights="other")})
    with refuses("incompatible", EARLIER):
        again(loaded, record.model_copy(update={"sampling": other}))
    shutil.rmtree(checkpoint)
    with refuses("missing", EARLIER):
        again(loaded, record)


def test_the_average_that_guides_is_known_by_its_weights(run: Path) -> None:
    loaded = load(run, "cpu")
    image = sample(loaded, 1, guide_with="early", guidance=2.0, **FAST)[0]
    record = Provenance.model_validate_json(image.info[KEY])
    assert again(loaded, record).tobytes() == image.tobytes()
    first, second = sorted((run / "averages").glob("step-*"))[:2]
    second.replace(first)
    with refuses("incompatible", first.name):
        again(loaded, record)
    first.write_bytes(first.read_bytes()[:100])
    with refuses("unreadable", first.name):
        again(loaded, record)
    first.unlink()
    with refuses("missing", first.stem):
        again(loaded, record)


def test_progress_counts_network_steps(loaded: LoadedRun) -> None:
    seen: list[tuple[int, int]] = []
    sample(loaded, 3, batch=2, progress=lambda done, total: seen.append((done, total)), **FAST)
    assert seen == [(i, 6) for i in range(1, 7)]


def test_pixels_are_the_decoded_sample(loaded: LoadedRun) -> None:
    """Grey pictures are two-dimensional, and of all 256 values, not clipped to a corner."""
    image = np.asarray(sample(loaded, 1, **FAST)[0])
    assert image.shape == (8, 8)
    assert image.dtype == np.uint8
    assert len(np.unique(image)) > 8


@pytest.mark.parametrize("label", [None, "3"])
def test_drawn_values_are_those_of_the_pictures(label: str | None, loaded: LoadedRun) -> None:
    how = settings(loaded, {"steps": 3, "eta": 1.0, "guidance": 2.0})
    subjects = NOTHING if label is None else Subjects((3,) * 5)
    drawn = loaded.draw(how, subjects, 4, [7, 2, 0, 9, 1])
    assert (drawn.shape, drawn.dtype) == ((5, 8, 8, 1), np.uint8)
    asked = flat(how) | ({} if label else {"guidance": 1.0})
    images = sample(loaded, 5, label=label, seed=4, indices=[7, 2, 0, 9, 1], **asked)
    assert np.array_equal(drawn[..., 0], np.stack([np.asarray(image) for image in images]))
