"""What is exported to ONNX draws the run's own images, with NumPy and ONNX Runtime alone."""

import importlib.util
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import tiny
from autoencoders import stored
from cases import cases
from ddpm.build.networks import CONDITIONERS
from ddpm.codec.premultiplied import premultiplied
from ddpm.config.text import PretrainedConfig, WordsConfig
from ddpm.engine.options import asked
from ddpm.engine.run import LoadedRun
from ddpm.exchange.onnx import export, export_onnx
from ddpm.exchange.onnx.graphs import RAW, denoiser
from ddpm.text.folder import open_encoder
from random_runs import random_run
from refusal import refuses
from text_encoders import save_encoder

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")
UNET = {"kind": "unet", "width": 8, "multipliers": (1, 2), "attention": (2,), "blocks": 1, "cond_width": 8}
PLAIN_DIT = {"kind": "plain-dit", "depth": 1, "width": 32, "heads": 2}


@pytest.fixture(autouse=True, scope="module")
def _one_registry() -> Iterator[None]:
    """The exporter collects the operators of ONNX once, not for each network."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        yield


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "onnx_sampler", Path(__file__).parents[2] / "examples/onnx_sampler.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def own(run: LoadedRun, changes, n, **subject) -> np.ndarray:
    """Samples of a run before they are rounded to 8 bits, (n, C, H, W)."""
    want, last = asked(run, changes, subject.get("label"), n, subject.get("prompt")), []
    run.draw(want.how, want.subjects, 5, range(n), watch=lambda moment: last.append(moment.x))
    return last[-1]


def test_a_class_run_in_latents(tmp_path, example):
    torch.manual_seed(0)
    codec = stored(tmp_path / "ae", "RGBA")
    guided = {"steps": 4, "guidance": 1.5, "guidance_interval": (0, 2), "negative": "b"}
    run = random_run(tmp_path / "run", UNET, mode="RGBA", classes=("a", "b"), codec=codec, sampling=guided, dropout=0.1)
    lines = export_onnx(run, tmp_path / "out")
    assert [line.split(":")[0] for line in lines] == ["denoiser.onnx", "decoder.onnx", "encoder.onnx", "sampler.json"]
    for label in (None, 0):
        expected = run.engine.codec.decode(own(run, {}, 3, label=label)).numpy() / 127.5 - 1
        found = example.sample(tmp_path / "out", 3, 5, **({} if label is None else {"label": label}))
        opaque = expected[..., 3:] > -1  # what is transparent has no colour
        np.testing.assert_allclose(found * opaque, expected * opaque, atol=0.51 / 127.5)  # rounded to 8 bits
    images = torch.randint(256, (2, 8, 8, 4), dtype=torch.uint8)
    session = onnxruntime.InferenceSession(tmp_path / "out/encoder.onnx")
    (z,) = session.run(None, {"images": premultiplied(images).numpy()})
    np.testing.assert_allclose(z, run.engine.codec.encode(images), atol=1e-4)
    with refuses("exists", "out"):
        export_onnx(run, tmp_path / "out")


def test_a_run_of_other_settings_without_conditions_and_what_is_refused(tmp_path, example, monkeypatch):
    diffusion = {"schedule": "edm", "prediction": "edm", "variance": "learned"}
    run = random_run(tmp_path / "run", PLAIN_DIT, diffusion=diffusion, sampling={"grid": "karras"})
    export_onnx(run, tmp_path / "out")
    expected = own(run, {}, 2).clamp(-1, 1).movedim(1, -1)
    assert expected.std() > 0.1
    np.testing.assert_allclose(example.sample(tmp_path / "out", 2, 5), expected, atol=1e-3)
    monkeypatch.setattr(export, "TOLERANCE", 0.0)
    with refuses("incompatible", "denoiser.onnx", "differ"):
        export.compared(denoiser(run), tmp_path / "out/denoiser.onnx")


def test_every_kind_of_condition_has_an_example():
    assert RAW.keys() == CONDITIONERS.keys()


@cases("kind", [kind for kind in tiny.NETWORKS if kind not in ("unet", "plain-dit")])
def test_every_network_takes_any_number_of_images(kind):
    """The others are exported as a whole, which compares one image and several."""
    graph = denoiser(tiny.loaded("RGB", kind=kind))
    x, t, *raw = graph.inputs.values()
    rows = {0: torch.export.Dim("rows", min=1)}
    found = torch.export.export(
        graph.module, (x, t, *raw), dynamic_shapes=(rows, rows, (rows,) * len(raw)), strict=False
    )
    one = [tensor[:1] for tensor in (x, t, *raw)]
    torch.testing.assert_close(found.module()(*one), graph.module(*one))


@pytest.mark.parametrize("kind", ["words", "pretrained"])
def test_text_runs(tmp_path, example, kind):
    """With guidance; or with labels too, neither of which was left out in training."""
    if kind == "words":
        run_of, drawn, given = {"dropout": 0.1}, {"guidance": 2.0}, {}
        text = WordsConfig(vocabulary="red blue cat", characters="abc", length=8)
    else:
        run_of, drawn, given = {"classes": ("a", "b")}, {}, {"label": 1}
        found = open_encoder(str(save_encoder(tmp_path / "clip", "clip")))
        text = PretrainedConfig(source=str(tmp_path / "clip"), weights=found.hash, width=found.width, length=8)
    network = {"kind": "dit", "depth": 1, "width": 32, "heads": 2, "cond_width": 32}
    run = random_run(tmp_path / "run", network, mode="L", text=text, **run_of)
    export_onnx(run, tmp_path / "out")
    prompt = "a red cat"
    caption = run.text([prompt])[0]
    found = example.sample(tmp_path / "out", 2, 5, **drawn, caption=caption, **given)
    expected = own(run, drawn, 2, prompt=prompt, **given).clamp(-1, 1).movedim(1, -1)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    settings = json.loads((tmp_path / "out/sampler.json").read_text())
    if kind == "words":  # as documented
        known = settings["vocabulary"]
        numbers = [3 + len(known["characters"]) + known["words"].index(word) for word in ("red", "cat")]
        spelled = [2, 3 + known["characters"].index("a")]
        assert caption[:, 0].tolist() == [*spelled, *numbers, 0, 0, 0, 0]
    else:
        with pytest.raises(SystemExit, match="label and a caption"):
            example.sample(tmp_path / "out", 1)
        tokenizer = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(tmp_path / "out/tokenizer")
        tokens = tokenizer([prompt], padding="max_length", max_length=8, truncation=True, return_tensors="np")
        session = onnxruntime.InferenceSession(tmp_path / "out/text.onnx")
        (features,) = session.run(None, {"ids": tokens["input_ids"], "mask": tokens["attention_mask"]})
        n = int(tokens["attention_mask"].sum())
        np.testing.assert_allclose(features[0, :n], caption[:n, :-1], atol=1e-4)
