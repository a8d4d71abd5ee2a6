"""diffusers' DiTPipeline becomes a run that draws the same images."""

import json

import numpy as np
import pytest
from diffusers import AutoencoderKL, DDIMScheduler, DiTPipeline, DiTTransformer2DModel

from ddpm.engine.loading import load
from ddpm.engine.options import asked
from ddpm.exchange.diffusers.pipeline import read_model, recognises
from ddpm.sampling import rows_of
from randomised import randomised
from refusal import refuses


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One with the settings of facebook/DiT-XL-2-256, smaller."""
    out = tmp_path_factory.mktemp("dit")
    net = randomised(
        lambda: DiTTransformer2DModel(
            num_attention_heads=2, attention_head_dim=16, out_channels=8, num_layers=2, sample_size=8
        )
    )
    for block in net.transformer_blocks:
        block.norm1.emb.load_state_dict(net.transformer_blocks[0].norm1.emb.state_dict())
    blocks = {"block_out_channels": (8, 8), "norm_num_groups": 4}
    types = {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    vae = randomised(lambda: AutoencoderKL(**blocks, **types, sample_size=16))
    names = {i: f"kind {i}, sort {i}" for i in range(1000)} | {134: "crane", 517: "crane"}
    scheduler = DDIMScheduler(clip_sample=False, timestep_spacing="trailing")
    DiTPipeline(net, vae, scheduler).save_pretrained(out)  # which does not save the names
    index = json.loads((out / "model_index.json").read_bytes())
    (out / "model_index.json").write_text(json.dumps({**index, "id2label": names}))
    return out


def theirs(folder, noise, labels, guidance, monkeypatch):
    """Their images from given noise, (B, H, W, C) in [0, 1]."""
    pipeline = DiTPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    monkeypatch.setattr("diffusers.pipelines.dit.pipeline_dit.randn_tensor", lambda *_, **__: noise)
    return pipeline(labels, guidance_scale=guidance, num_inference_steps=5, output_type="np").images


def test_agreement(folder, tmp_path, monkeypatch):
    assert recognises(folder)
    found = read_model(folder, None)
    run = load(found.write(tmp_path / "run").path, "cpu")
    assert (run.classes[134], run.classes[7]) == ("crane (134)", "kind 7, sort 7")
    assert any("crane" in line for line in found.inferred)
    assert run.sampling.guidance_scale == 4
    want = asked(run, {"steps": 5}, [7, 134], 2)
    noise = run.engine.noise(rows_of(0, range(2)))()
    x = run.draw(want.how, want.subjects, 0, range(2))
    expected = theirs(folder, noise, [7, 134], 4.0, monkeypatch)
    assert expected.std() > 0.1
    np.testing.assert_allclose(x / 255, expected, atol=0.51 / 255)  # rounded to 8 bits


def test_names_that_do_not_fit_are_refused(folder, tmp_path):
    index = json.loads((folder / "model_index.json").read_bytes())
    for part in folder.iterdir():
        (tmp_path / part.name).symlink_to(part)
    (tmp_path / "model_index.json").unlink()
    del index["id2label"]["999"]
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with refuses("incompatible", "1000 classes", "999"):
        read_model(tmp_path, None)
    del index["id2label"]
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    assert read_model(tmp_path, None).config.data.classes[-1] == "999"
