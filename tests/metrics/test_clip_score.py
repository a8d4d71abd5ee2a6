"""The CLIP score with tiny random models, saved on the spot and loaded as published ones are."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torchmetrics.functional.multimodal import clip_score as other

from ddpm.metrics.clip_score import Clip, clip_score, load_clip
from ddpm.metrics.features.vision import CLIP_COLOURS, clip, prepared
from refusal import refuses
from text_encoders import save_encoder

CPU = torch.device("cpu")
CAPTIONS = ["a red house", "the blue dog and a cat on the house with a small red dog", "cat", "a (small) dog:1.3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("clip") / "clip", "clip")


@pytest.fixture(scope="module")
def model(folder: Path) -> Clip:
    return load_clip(str(folder), CPU)


def pictures(n: int, side: int = 20, channels: int = 3) -> torch.Tensor:
    draw = torch.Generator().manual_seed(side)
    return torch.randint(256, (n, side, side, channels), dtype=torch.uint8, generator=draw)


def test_cosines_are_those_of_transformers(folder: Path, model: Clip) -> None:
    """``logits_per_image`` is ``exp(logit_scale) · cos``."""
    net, tokenizer = (getattr(transformers, name).from_pretrained(folder) for name in ("CLIPModel", "CLIPTokenizer"))
    images = pictures(4)
    tokens: Any = tokenizer(CAPTIONS, padding=True, truncation=True, max_length=24, return_tensors="pt")
    with torch.no_grad():
        out = net(pixel_values=prepared(images, 32, *CLIP_COLOURS), **tokens)
    expected = out.logits_per_image.diagonal() / net.logit_scale.exp()
    found = model.cosines(images, CAPTIONS)
    assert found.std() > 0.05
    torch.testing.assert_close(found, expected.double().detach(), rtol=0, atol=1e-6)


def test_the_score_is_torchmetrics(folder: Path, model: Clip) -> None:
    """On embeddings that it takes from the same tensors and captions, in batches of any size."""
    images = pictures(4, 32)

    class Processor:
        """What torchmetrics takes for CLIP's processor; images of the right size are only normalised."""

        def __call__(self, text: Any = None, images: Any = None, **how: Any) -> Any:
            if images is not None:
                whole = torch.stack(list(images)).movedim(1, -1).to(torch.uint8)
                return {"pixel_values": prepared(whole, 32, *CLIP_COLOURS)}
            return model.tokenizer(text, padding=True, truncation=True, max_length=24, return_tensors="pt")

    def made() -> tuple[Any, Any]:
        class Net(torch.nn.Module):
            config, device = model.net.config, CPU

            def get_image_features(self, x: torch.Tensor) -> torch.Tensor:
                return model.net.visual_projection(model.net.vision_model(pixel_values=x).pooler_output)  # type: ignore[no-any-return]

            def get_text_features(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
                hidden = model.net.text_model(input_ids=ids, attention_mask=mask).pooler_output
                return model.net.text_projection(hidden)  # type: ignore[no-any-return]

        return Net(), Processor()

    for captions in (CAPTIONS, CAPTIONS[::-1]):
        with torch.no_grad():
            theirs = other(list(images.movedim(-1, 1)), captions, made)  # type: ignore[arg-type]
        assert clip_score(model.cosines(images, captions)).value == pytest.approx(float(theirs), abs=1e-4)


def test_an_interval_covers_the_mean_and_no_score_is_negative() -> None:
    cosines = 0.25 + 0.05 * torch.randn(200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = clip_score(cosines)
    assert found.value == pytest.approx(100 * float(cosines.mean()))
    # 1.96 standard errors to each side
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * 100 * float(cosines.std()) / 200**0.5, rel=0.1)
    negative = clip_score(-cosines)
    assert (negative.value, negative.low, negative.high) == (0, 0, 0)


def test_a_pair_has_the_same_cosine_in_any_batch(model: Clip) -> None:
    images = pictures(40)
    captions = [CAPTIONS[i % 4] for i in range(40)]
    together = model.cosines(images, captions)
    torch.testing.assert_close(model.cosines(images[35:], captions[35:]), together[35:], rtol=0, atol=1e-6)


def test_images_are_embedded_as_for_features(folder: Path, model: Clip) -> None:
    """In every mode."""
    for channels in (1, 3, 4):
        images = pictures(3, channels=channels)
        torch.testing.assert_close(model.images(images), clip(str(folder), CPU)(images), rtol=1e-6, atol=1e-6)


def test_folders_that_are_no_clip_model_are_refused(folder: Path, tmp_path: Path) -> None:
    with refuses("missing", "nowhere", "--clip"):
        load_clip("nowhere", CPU)
    with refuses("missing", "config.json is a file"):
        load_clip(str(folder / "config.json"), CPU)
    with refuses("incompatible", "type bert"):
        load_clip(str(save_encoder(tmp_path / "bert")), CPU)
    with refuses("incompatible", "type clip_text_model"):
        load_clip(str(save_encoder(tmp_path / "text", "clip_text_model")), CPU)
    for name, code in (
        ("tokenizer.json", "missing"),
        ("model.safetensors", "unreadable"),
        ("config.json", "unreadable"),
    ):
        broken = shutil.copytree(folder, tmp_path / name)
        for file in {name, *(("vocab.json",) if name == "tokenizer.json" else ())}:
            (broken / file).unlink(missing_ok=True)
        with refuses(code, str(broken), "--clip"):  # type: ignore[arg-type]
            load_clip(str(broken), CPU)
    pickled = shutil.copytree(folder, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with refuses("unreadable", str(pickled)):
        load_clip(str(pickled), CPU)
    colours = shutil.copytree(folder, tmp_path / "colours")
    (colours / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5]}), encoding="utf-8")
    with refuses("unreadable", "image_mean"):
        load_clip(str(colours), CPU)
