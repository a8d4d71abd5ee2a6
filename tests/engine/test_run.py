import json
import pickle
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import ddpm
from ddpm.config.guidance import Guide
from ddpm.config.options import changed, flat
from ddpm.config.solver import EtaSolver
from ddpm.core.discrete import linear
from ddpm.pipeline import Pipeline, load
from ddpm.records.provenance import KEY, Provenance
from ddpm.system.errors import InputError
from ddpm.training import checkpoint as checkpoints

FAST = {"steps": 3}


@pytest.fixture(scope="module")
def pipe(digits_run: Path) -> Pipeline:
    return load(digits_run, "cpu")


@pytest.fixture
def run(digits_run: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(digits_run, tmp_path / "run")


def pixels(images: list[Image.Image]) -> list[bytes]:
    return [image.tobytes() for image in images]


def test_a_run_needs_nothing_but_its_folder(digits_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data, no cache, and no pickle on the way."""

    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a pickle was read")

    for module, name in ((torch, "load"), (pickle, "load"), (pickle, "loads"), (pickle, "Unpickler")):
        monkeypatch.setattr(module, name, never)
    monkeypatch.setattr(torch.serialization, "load", never)
    monkeypatch.setenv("DDPM_CACHE", str(tmp_path / "nothing"))
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(digits_run / name, moved)
    images = ddpm.load(moved).sample(2, label="3", **FAST)
    assert [(image.mode, image.size) for image in images] == [("L", (8, 8))] * 2
    assert not (tmp_path / "nothing").exists()


def test_the_weights_are_the_average(pipe: Pipeline, digits_run: Path) -> None:
    found, _ = checkpoints.newest(digits_run / "checkpoints")
    assert found is not None
    state = pipe.model.state_dict()
    assert all(torch.equal(t, state[name]) for name, t in found.tensors["ema"].items())
    assert not pipe.model.training
    assert not any(p.requires_grad for p in pipe.model.parameters())


def test_a_label_by_name_number_or_one_each(pipe: Pipeline) -> None:
    by_name = pixels(pipe.sample(2, label="7", **FAST))
    assert pixels(pipe.sample(2, label=7, **FAST)) == by_name
    assert pixels(pipe.sample(2, label=["7", 7], **FAST)) == by_name
    mixed = pixels(pipe.sample(2, label=["7", "2"], **FAST))
    assert mixed[0] == by_name[0]
    assert mixed[1] != by_name[1]
    assert pixels(pipe.sample(2, **FAST))[0] != by_name[0]


def test_a_name_goes_before_a_number(pipe: Pipeline) -> None:
    """Classes named 10, 2 sort as text: "2" is the name, not the number."""
    data = pipe.config.data.model_copy(update={"classes": ("10", "11", "2", "a", "b", "c", "d", "e", "f", "g")})
    other = Pipeline(
        pipe.model,
        pipe.config.model_copy(update={"data": data}),
        pipe.schedule,
        pipe.device,
        pipe.source,
        pipe.weights,
    )
    assert other.labels("2", 1) == [2]
    assert other.labels("10", 1) == [0]
    assert other.labels(2, 1) == [2]
    assert other.labels("9", 1) == [9]


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"label": "seven"}, r"unknown label 'seven' \(known: 0, 1, 2"),
        ({"label": 10}, r"label 10 is outside 0 … 9"),
        ({"label": -1}, r"label -1 is outside 0 … 9"),
        ({"label": "10"}, r"outside 0 … 9"),
        ({"label": ["1", "2", "3"]}, r"3 labels for 2 images; give one for all, or one each"),
        ({"guidance": 2.0}, r"guidance 2.0 has nothing to guide towards: give a label \(known: 0, 1"),
        ({"guidance_interval": (0.2, 5)}, r"guidance_interval \(0.2, 5\) has nothing to guide towards: give a label"),
        ({"guidance_interval": (0.2, 5), "guidance": 1, "label": 0}, r"guidance_interval has no effect without"),
        ({"negative": "seven", "label": 0, "guidance": 2}, r"unknown label 'seven' \(known: 0, 1, 2"),
        ({"negative": "7"}, r"negative 7 has nothing to guide towards: give a label"),
        ({"negative": "7", "guidance": 1.0, "label": 0}, r"negative has no effect without guidance"),
        ({"negative": 7, "label": ["7", 7]}, r"negative 7 is what the images shall be; give another class"),
        ({"guide_with": "step-9", "guidance": 2}, r"step-9 is no checkpoint of .* \(known: step-000000008, step-"),
        ({"guide_with": "/tmp", "guidance": 2}, r"/tmp is no checkpoint of"),
        ({"guide_with": "step-000000012", "guidance": 2}, r"has the weights that it would guide; give an earlier"),
        ({"guide_with": "step-000000008", "guidance": 1}, r"guide_with has no effect without guidance"),
        ({"step": 3}, r"unknown key 'step' \(did you mean 'steps'\?\)"),
        ({"solver": "dim"}, r"solver 'dim' is unknown \(did you mean 'ddim'\?\); it may be sde"),
        ({"grid": "even"}, r"grid must be .*'trailing'"),
        ({"steps": 0}, r"steps must be at least 1"),
        ({"steps": 1001}, r"steps must be between 1 and 1000"),
        ({"steps": "x"}, r"steps: .*integer"),
        ({"steps": 3, "grid": (900, 5)}, r"steps is 3, and the grid lists 2 places; leave steps out, or list as many"),
        ({"grid": "1200,5"}, r"the grid begins at 1200, above the 1000 levels"),
        ({"grid": (5, 900)}, r"must fall strictly, to 1 at the least, not 5,900"),
        ({"eta": 0.5, "solver": "ancestral"}, r"eta is an option of ddim"),
        ({"indices": [1]}, r"1 index for 2 images"),
        ({"indices": [0, -1]}, r"an index must be at least 0, not -1"),
        ({"batch": 0}, r"batch must be at least 1"),
    ],
)
def test_what_cannot_be_drawn(kwargs: dict[str, Any], said: str, pipe: Pipeline) -> None:
    with pytest.raises(InputError, match=said) as caught:
        pipe.sample(2, **kwargs)
    assert "\n" not in str(caught.value)


def test_no_images(pipe: Pipeline) -> None:
    with pytest.raises(InputError, match="n must be at least 1"):
        pipe.sample(0)


@pytest.mark.parametrize(
    ("solver", "option"),
    [
        ("euler-ancestral", {"eta": 0.0}),
        ("edm", {"churn": 0.0}),
        ("adaptive", {"tolerance": 1e-5}),
    ],
)
def test_every_option_of_a_solver_has_an_effect(solver: str, option: dict[str, Any], pipe: Pipeline) -> None:
    usual = {**FAST, "solver": solver, "clip": False}
    assert pixels(pipe.sample(2, **usual)) != pixels(pipe.sample(2, **usual, **option))


def test_of_another_solver_the_options_are_those_of_nobody(pipe: Pipeline) -> None:
    """A run's own churn does not stand in the way of DDIM."""
    own = changed(pipe.config.sampling, {"solver": "edm", "churn": 3.0})
    other = replace(pipe, config=pipe.config.model_copy(update={"sampling": own}))
    assert other.settings({}) == other.settings({"solver": "edm"}) == own
    assert other.settings({"eta": 0.5}).solver == EtaSolver(name="ddim", eta=0.5)


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
def test_every_setting_has_an_effect(change: dict[str, Any], pipe: Pipeline) -> None:
    usual = {"label": "0", "steps": 3}
    assert pixels(pipe.sample(1, **usual)) != pixels(pipe.sample(1, **usual | change))


@pytest.mark.parametrize("variance", ["small", "large"])
def test_ancestral_samples_have_the_runs_own_variance(variance: str, pipe: Pipeline) -> None:
    diffusion = pipe.config.diffusion.model_copy(update={"variance": variance})
    made = replace(pipe, config=pipe.config.model_copy(update={"diffusion": diffusion}))
    own, *named = (
        pixels(made.sample(2, solver=solver, steps=3)) for solver in ("ancestral", "ancestral-small", "ancestral-large")
    )
    assert own == named[variance == "large"]
    assert named[0] != named[1]


def test_places_say_how_many_steps_they_are(pipe: Pipeline) -> None:
    """Whatever the run's own steps; as a text, numbers or with the same number of steps they are the same grid."""
    places = (1000.0, 700.0, 400.0, 100.0)
    calls: list[tuple[int, int]] = []
    wanted = pipe.sample(2, grid=places, progress=lambda done, of: calls.append((done, of)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for same in ({"grid": "1000,700,400,100"}, {"grid": [1000, 700, 400, 100]}, {"grid": places, "steps": 4}):
        assert pixels(pipe.sample(2, **same)) == pixels(wanted)


def test_a_run_of_its_own_places(pipe: Pipeline) -> None:
    """They may be replaced by a name, which takes as many steps, or other places; not by steps alone."""
    own = pipe.config.sampling.model_copy(update={"grid": (1000.0, 300.0), "steps": 2})
    run = replace(pipe, config=pipe.config.model_copy(update={"sampling": own}))
    assert run.settings({}) == own
    assert pixels(run.sample(1)) == pixels(pipe.sample(1, grid="1000,300"))
    assert (run.settings({"grid": "karras"}).grid, run.settings({"grid": "karras"}).steps) == ("karras", 2)
    assert run.settings({"grid": "900,800,700"}).steps == 3
    with pytest.raises(InputError, match="steps is 5, and the grid lists 2 places"):
        run.settings({"steps": 5})


def test_off_the_ticks_there_may_be_more_steps_than_levels(pipe: Pipeline) -> None:
    short = replace(pipe, schedule=linear(4))
    assert pixels(short.sample(1, grid="karras", steps=9)) != pixels(short.sample(1, grid="karras", steps=4))
    with pytest.raises(InputError, match="between 1 and 4"):
        short.sample(1, grid="uniform", steps=9)


def test_image_i_does_not_depend_on_its_batch(pipe: Pipeline) -> None:
    whole = pipe.sample(5, label="4", eta=1.0, **FAST)
    assert pixels(pipe.sample(5, label="4", eta=1.0, batch=2, **FAST)) == pixels(whole)
    assert pixels(pipe.sample(2, label="4", eta=1.0, indices=[3, 1], **FAST)) == pixels([whole[3], whole[1]])


def test_two_threads_are_as_two_turns(pipe: Pipeline) -> None:
    turns = [pixels(pipe.sample(2, label=i, eta=1.0, seed=i, **FAST)) for i in range(4)]
    found: dict[int, list[bytes]] = {}

    def ask(i: int) -> None:
        found[i] = pixels(pipe.sample(2, label=i, eta=1.0, seed=i, **FAST))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(4)] == turns


def test_sampling_leaves_torchs_generator_alone(pipe: Pipeline) -> None:
    before = torch.get_rng_state()
    pipe.sample(1, eta=1.0, **FAST)
    assert torch.equal(before, torch.get_rng_state())


def test_each_image_says_how_it_was_made(pipe: Pipeline) -> None:
    image = pipe.sample(2, label=3, seed=5, solver="ancestral", **FAST)[1]
    record = Provenance.model_validate_json(image.info[KEY])
    assert (record.seed, record.index, record.label, record.weights) == (5, 1, "3", pipe.weights)
    assert (record.sampling.solver.name, record.sampling.steps) == ("ancestral", 3)
    again = pipe.sample(1, label=record.label, seed=record.seed, indices=[record.index], **flat(record.sampling))
    assert pixels(again) == [image.tobytes()]


def test_a_picture_without_a_label_is_drawn_again(pipe: Pipeline) -> None:
    """Though its settings have guidance, which was idle."""
    image = pipe.sample(1, seed=5, **FAST)[0]
    record = Provenance.model_validate_json(image.info[KEY])
    assert record.label is None
    assert record.sampling.guidance is not None
    assert pipe.again(record).tobytes() == image.tobytes()


def test_without_guidance_its_options_are_those_of_nobody(pipe: Pipeline) -> None:
    """A run's own interval does not stand in the way of guidance 1."""
    own = changed(pipe.config.sampling, {"guidance": 2.0, "guidance_interval": (0.2, 5.0)})
    other = replace(pipe, config=pipe.config.model_copy(update={"sampling": own}))
    assert other.settings({}) == own
    assert other.settings({"guidance": 1}).guidance is None


EARLIER = "step-000000008"


def test_without_clipping_the_threshold_is_that_of_nobody(pipe: Pipeline) -> None:
    own = changed(pipe.config.sampling, {"threshold": 0.9})
    other = replace(pipe, config=pipe.config.model_copy(update={"sampling": own}))
    assert other.settings({}) == own
    assert not other.settings({"clip": False}).clips
    with pytest.raises(InputError, match="threshold is an option of clip dynamic, not of clip none"):
        other.settings({"clip": False, "threshold": 0.9})


def test_guided_by_an_earlier_checkpoint(pipe: Pipeline, digits_run: Path) -> None:
    """By its name or path; it needs no label, and at scale 0 it is alone."""
    usual = {**FAST, "guide_with": EARLIER}
    guided = pipe.sample(2, guidance=3.0, **usual)
    assert pixels(guided) != pixels(pipe.sample(2, **FAST))
    by_path = pipe.sample(2, guidance=3.0, **usual | {"guide_with": digits_run / "checkpoints" / EARLIER})
    assert pixels(by_path) == pixels(guided)
    bad = load(digits_run / "checkpoints" / EARLIER, "cpu")
    assert pixels(pipe.sample(2, guidance=0.0, label=3, **usual)) == pixels(bad.sample(2, guidance=1, label=3, **FAST))
    record = Provenance.model_validate_json(guided[1].info[KEY])
    assert record.sampling.guidance.guide == Guide(checkpoint=EARLIER, weights=bad.weights)
    assert pipe.again(record).tobytes() == guided[1].tobytes()


def test_guidance_leaves_the_pipeline_and_torchs_generator_alone(pipe: Pipeline) -> None:
    before, weights = torch.get_rng_state(), [p.clone() for p in pipe.model.parameters()]
    how = pipe.settings({"guide_with": EARLIER, "guidance": 2.0})
    ready = pipe.prepared(how)
    assert ready.prepared(how) is ready
    assert pipe.worse is None
    ready.sample(1, guide_with=EARLIER, guidance=2.0, **FAST)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(weights, pipe.model.parameters(), strict=True))


def test_the_checkpoint_that_guides_is_known_by_its_weights(run: Path) -> None:
    pipe = load(run, "cpu")
    image = pipe.sample(1, guide_with=EARLIER, guidance=2.0, **FAST)[0]
    record = Provenance.model_validate_json(image.info[KEY])
    checkpoint = run / "checkpoints" / EARLIER
    other = changed(record.sampling, {"guide_with": Guide(checkpoint=EARLIER, weights="other")})
    with pytest.raises(InputError, match=rf"{EARLIER}, the checkpoint to guide with, has other weights now"):
        pipe.again(record.model_copy(update={"sampling": other}))
    shutil.rmtree(checkpoint)
    with pytest.raises(InputError, match=rf"{EARLIER}, the checkpoint to guide with, is not there"):
        pipe.again(record)


def test_progress_counts_network_steps(pipe: Pipeline) -> None:
    seen: list[tuple[int, int]] = []
    pipe.sample(3, batch=2, progress=lambda done, total: seen.append((done, total)), **FAST)
    assert seen == [(i, 6) for i in range(1, 7)]


def test_the_hash_is_of_names_and_values(pipe: Pipeline, run: Path) -> None:
    assert load(run).weights == pipe.weights
    weights = load_file(run / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] += 1e-3
    save_file(weights, run / "model.safetensors")
    assert load(run).weights != pipe.weights


def test_one_checkpoint(pipe: Pipeline, digits_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last, before = (digits_run / "checkpoints" / f"step-{step:09d}" for step in (12, 8))
    assert load(last).weights == pipe.weights
    assert load(before).weights != pipe.weights
    monkeypatch.chdir(before)
    assert load(".").weights == load(before).weights
    monkeypatch.chdir(before.parent)
    assert load(before.name).weights == load(before).weights


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4] ^= 0xFF  # in the header's length
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage", [flip, lambda path: path.write_bytes(path.read_bytes()[:-5]), lambda path: path.write_bytes(b"")]
)
def test_damaged_weights(damage: Any, run: Path) -> None:
    damage(run / "model.safetensors")
    with pytest.raises(InputError, match=r"model\.safetensors is damaged \(.*\); load a checkpoint in .*checkpoints"):
        load(run)


def test_a_damaged_checkpoint(run: Path) -> None:
    path = run / "checkpoints" / "step-000000012"
    (path / "optimizer.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"step-000000012 is damaged: optimizer\.safetensors differs"):
        load(path)


def test_no_weights_yet(run: Path) -> None:
    (run / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no model\.safetensors yet; run its `ddpm train` command"):
        load(run)


def test_weights_of_another_model(run: Path) -> None:
    save_file({"conv.weight": torch.zeros(2)}, run / "model.safetensors")
    with pytest.raises(InputError, match=r"does not fit this configuration: it lacks .* and has unknown conv\.weight"):
        load(run)


def test_a_config_of_another_width(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["network"]["width"] = 16
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"does not fit this configuration: .* is \(.*\), not \(.*\)"):
        load(run)


def test_a_foreign_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a run folder: it has no config\.json"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "UNet2DModel", "sample_size": 32}))
    with pytest.raises(InputError, match="is not what `ddpm train` writes"):
        load(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; give a run folder"):
        load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.pt", b"PK\x03\x04rest", "a PyTorch pickle or a zip, which is never read here"),
        ("model.ckpt", b"\x80\x02", "a PyTorch pickle"),
        ("model.safetensors", b"\0" * 16, "weights"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "a PNG picture; `ddpm sample --from` repeats one"),
        ("a.txt", b"hi", r"of type \.txt"),
        ("a", b"", "of type unknown"),
    ],
)
def test_a_file_is_named_as_what_it_is(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        load(tmp_path / name)


@pytest.mark.parametrize("device", ["cuda:99", "nonsense", "mps:7"])
def test_a_device_that_is_not_here(device: str, digits_run: Path) -> None:
    with pytest.raises(InputError, match=rf"the device {device} is not here"):
        load(digits_run, device)


def test_pixels_are_the_decoded_sample(pipe: Pipeline) -> None:
    """Grey pictures are two-dimensional, and of all 256 values, not clipped to a corner."""
    image = np.asarray(pipe.sample(1, **FAST)[0])
    assert image.shape == (8, 8)
    assert image.dtype == np.uint8
    assert len(np.unique(image)) > 8


@pytest.mark.parametrize("label", [None, "3"])
def test_drawn_values_are_those_of_the_pictures(label: str | None, pipe: Pipeline) -> None:
    how = pipe.settings({"steps": 3, "eta": 1.0, "guidance": 2.0})
    labels = None if label is None else [3] * 5
    drawn = pipe.draw(how, labels, 4, [7, 2, 0, 9, 1])
    assert (drawn.shape, drawn.dtype) == ((5, 8, 8, 1), np.uint8)
    settings = flat(how) | ({} if label else {"guidance": 1.0})
    images = pipe.sample(5, label=label, seed=4, indices=[7, 2, 0, 9, 1], **settings)
    assert np.array_equal(drawn[..., 0], np.stack([np.asarray(image) for image in images]))


def test_a_batch_of_one_and_of_many_are_drawn_alike(pipe: Pipeline) -> None:
    how = pipe.settings({"steps": 3, "eta": 1.0})
    labels = [i % 10 for i in range(40)]
    whole = pipe.draw(how, labels, 0, list(range(40)))
    assert len(np.unique(whole, axis=0)) == 40
    for i in (0, 17, 39):
        assert np.array_equal(pipe.draw(how, labels[i : i + 1], 0, [i])[0], whole[i])
