"""Tiny random networks, saved on the spot and loaded as published ones are."""

import json
import sys

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from ddpm.metrics.features import vision
from ddpm.metrics.features.vision import clip, dinov2, prepared
from ddpm.system.errors import InputError

CPU = torch.device("cpu")
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Folders by name; "whole clip" holds a text tower also, as the published ones do."""
    torch.manual_seed(0)
    images = transformers.CLIPVisionConfig(
        **SMALL, intermediate_size=32, image_size=32, patch_size=16, projection_dim=12
    )
    texts = transformers.CLIPTextConfig(
        **SMALL, intermediate_size=16, vocab_size=9, projection_dim=12, bos_token_id=0, eos_token_id=1, pad_token_id=1
    )
    made = {
        "dinov2": transformers.Dinov2Model(transformers.Dinov2Config(**SMALL, image_size=42, patch_size=14)),
        "clip": transformers.CLIPVisionModelWithProjection(images),
        "whole clip": transformers.CLIPModel(
            transformers.CLIPConfig(
                text_config=texts.to_dict(),
                vision_config=images.to_dict(),
                projection_dim=12,
                logit_scale_init_value=2.0,
            )
        ),
    }
    folders = {}
    for name, net in made.items():
        for parameter in net.parameters():  # far from zero, so that features differ from image to image
            nn.init.normal_(parameter, std=0.3)
        folders[name] = tmp_path_factory.mktemp("networks") / name
        net.save_pretrained(folders[name])
    (folders["dinov2"] / "preprocessor_config.json").write_text(
        json.dumps({"crop_size": {"height": 28, "width": 28}, "size": {"shortest_edge": 32}, "image_mean": [0.5] * 3})
    )
    return folders


def pictures(n, height=20, width=30, channels=3):
    draw = torch.Generator().manual_seed(height)
    return torch.randint(256, (n, height, width, channels), dtype=torch.uint8, generator=draw)


def test_dinov2_is_the_class_token_of_the_prepared_picture(networks):
    extractor = dinov2(str(networks["dinov2"]), CPU)
    images = pictures(2)
    pixels = prepared(images, 28, (0.5, 0.5, 0.5), IMAGENET[1])
    net = transformers.Dinov2Model.from_pretrained(networks["dinov2"])
    with torch.no_grad():
        expected = net(pixel_values=pixels).pooler_output
    assert (extractor.name, extractor.dim, extractor.size) == ("dinov2", 16, (28, 28))
    features = extractor(images)
    assert features.shape == (2, 16)
    assert features.std(0).mean() > 0.01
    torch.testing.assert_close(features, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("folder", ["clip", "whole clip"])
def test_clip_is_the_projected_embedding_of_the_prepared_picture(networks, folder):
    extractor = clip(str(networks[folder]), CPU)
    images = pictures(2)
    standard = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    pixels = prepared(images, 32, *standard)
    with torch.no_grad():
        if folder == "clip":
            net = transformers.CLIPVisionModelWithProjection.from_pretrained(networks[folder])
            expected = net(pixel_values=pixels).image_embeds
        else:
            net = transformers.CLIPModel.from_pretrained(networks[folder])
            expected = net.visual_projection(net.vision_model(pixel_values=pixels).pooler_output)
    assert (extractor.name, extractor.dim, extractor.size) == ("clip", 12, (32, 32))
    features = extractor(images)
    assert features.std(0).mean() > 0.01
    torch.testing.assert_close(features, expected, rtol=1e-6, atol=1e-6)


def test_pictures_are_prepared_as_by_pillow():
    for size in [(20, 30), (100, 64), (28, 28)]:
        images = pictures(1, *size)
        pixels = prepared(images, 28, *IMAGENET)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in IMAGENET)
        ours = (pixels[0] * std + mean) * 255
        theirs = np.asarray(Image.fromarray(images[0].numpy()).resize((28, 28), Image.Resampling.BICUBIC))
        difference = (ours - torch.from_numpy(theirs.copy()).movedim(-1, 0)).abs()
        # Pillow's weights are of 22 bits: what lies half-way between two values may fall to either side
        assert difference.max() < 1.001
        assert (difference > 0.5).float().mean() < 0.002


@pytest.mark.parametrize("make", [dinov2, clip])
def test_an_image_has_the_same_features_in_any_batch(networks, make, monkeypatch):
    extractor = make(str(networks[make.__name__]), CPU)
    images = pictures(5)
    together = extractor(images)
    for rows in (slice(0, 1), slice(4, 5), slice(1, 4)):
        torch.testing.assert_close(extractor(images[rows]), together[rows], rtol=1e-6, atol=1e-6)
    monkeypatch.setattr(vision, "PIECE", 2)
    torch.testing.assert_close(extractor(images), together, rtol=1e-6, atol=1e-6)


def test_grey_and_clear_pictures_are_as_in_colour(networks):
    extractor = dinov2(str(networks["dinov2"]), CPU)
    grey = pictures(1, channels=1)
    assert torch.equal(extractor(grey), extractor(grey.expand(-1, -1, -1, 3)))
    clear = torch.cat([pictures(1), torch.zeros(1, 20, 30, 1, dtype=torch.uint8)], -1)
    assert torch.equal(extractor(clear), extractor(torch.full((1, 20, 30, 3), 255, dtype=torch.uint8)))


def test_the_hash_is_of_weights_and_preparation(networks, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in networks["dinov2"].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    first = dinov2(str(networks["dinov2"]), CPU).hash
    assert dinov2(str(folder), CPU).hash == first

    (folder / "preprocessor_config.json").unlink()
    standard = dinov2(str(folder), CPU)
    assert standard.size == (224, 224)

    state = load_file(folder / "model.safetensors")
    state["layernorm.bias"][0] += 1
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    assert len({first, standard.hash, dinov2(str(folder), CPU).hash}) == 3


def refusal(make, weights) -> str:
    with pytest.raises(InputError) as refused:
        make(str(weights), CPU)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_what_cannot_be_loaded_is_one_line(networks, tmp_path):
    for weights in ("facebook/none-such", tmp_path / "none", tmp_path):
        said = refusal(dinov2, weights)
        assert said.startswith(f"{weights} cannot be loaded (")
        assert "--weights FOLDER" in said


def test_no_pickle_is_read(networks, tmp_path):
    (tmp_path / "config.json").write_bytes((networks["clip"] / "config.json").read_bytes())
    torch.save(load_file(networks["clip"] / "model.safetensors"), tmp_path / "pytorch_model.bin")
    assert "cannot be loaded (" in refusal(clip, tmp_path)


def test_another_network_or_a_part_of_one_is_refused(networks, tmp_path):
    assert "is a network of type dinov2; use one of type clip" in refusal(clip, networks["dinov2"])
    assert "is a network of type clip; use one of type dinov2" in refusal(dinov2, networks["whole clip"])
    (tmp_path / "config.json").write_bytes((networks["clip"] / "config.json").read_bytes())
    state = load_file(networks["clip"] / "model.safetensors")
    del state["visual_projection.weight"]
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    assert "lacks 1 of the weights of CLIPVisionModelWithProjection" in refusal(clip, tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "cannot be loaded ("), ("[1]", "is not a JSON object"), ('{"image_std": [1]}', "three numbers")],
)
def test_a_damaged_preprocessor_config_is_said(networks, tmp_path, content, said):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((networks["dinov2"] / name).read_bytes())
    (tmp_path / "preprocessor_config.json").write_text(content)
    assert said in refusal(dinov2, tmp_path)


def test_without_transformers_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert refusal(dinov2, "any").endswith('`pip install "ddpm[features]"`')
