import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ddpm.config.guidance import GuidanceConfig, Guide
from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.config.text import WordsConfig
from ddpm.metrics.estimate import Estimate
from ddpm.records.card import adopt, card
from ddpm.records.guidance import Average, GuidanceRecord, GuidanceTrial
from ddpm.records.run_folder import RunFolder
from ddpm.records.score import FeaturesRecord, ReferenceRecord


@pytest.fixture(scope="module")
def config(digits_run: Path) -> RunConfig:
    return RunConfig.read(digits_run / "config.json")


def test_it_says_what_the_model_is(config: RunConfig) -> None:
    _, front, text = card(config, "runs/digits", 12_345_678).split("---\n")
    found = yaml.safe_load(front)
    assert (found["library_name"], found["pipeline_tag"]) == ("ddpm", "unconditional-image-generation")
    assert text.startswith("# digits\n")
    network = "12.3 M parameters"
    for said in ("8 × 8 L images", "1,708 of `digits`, plus 89 held out", "0, 1, 2, 3", network, "192 images"):
        assert said in text
    assert "{" not in text


@pytest.mark.parametrize("folder", ["runs/digits", "my runs/a b", "runs/it's", "C:\\runs\\a"])
@pytest.mark.parametrize("name", ["cat", "big cat", 'the "cat"', "it's", "$HOME"])
def test_its_commands_can_be_pasted(folder: str, name: str, config: RunConfig) -> None:
    data = config.data.model_copy(update={"classes": (name, "other")})
    text = card(config.model_copy(update={"data": data}), folder, 1)
    (shell,) = (line for line in text.splitlines() if line.startswith("ddpm sample"))
    assert shlex.split(shell) == ["ddpm", "sample", folder, "-n", "16", "--label", name]
    (python,) = (line for line in text.splitlines() if line.startswith("images = "))
    asked: list[object] = []

    class Fake:
        @staticmethod
        def load(path: str) -> type["Fake"]:
            asked.append(path)
            return Fake

        @staticmethod
        def sample(n: int, label: str) -> None:
            asked.extend([n, label])

    exec(python, {"ddpm": Fake})
    assert asked == [folder, 16, name]


@pytest.mark.parametrize(("grid", "words"), [("karras", "karras grid"), ((1000, 99.5), "1000,99.5 grid")])
def test_the_grid_is_told_as_it_is_typed(grid: object, words: str, config: RunConfig) -> None:
    sampling = SamplingConfig.of(grid=grid, steps=2)
    assert f", 2 steps, {words}, guidance" in card(config.model_copy(update={"sampling": sampling}), "runs/a", 1)


def test_the_guidance_that_was_found_replaces_the_recipes(config: RunConfig, tmp_path: Path) -> None:
    """In its row alone: what a user has written stays."""
    run, one = RunFolder(tmp_path), Estimate(value=1.0, low=1.0, high=1.0)
    config.write(run.config_file)
    before = card(config, "runs/digits", 1) + "My notes: | sampling | by hand\n"
    run.card.write_text(before, encoding="utf-8")
    how = GuidanceConfig(scale=1.4, away_from=Guide(checkpoint="averages/step-000000001", weights="0"))
    trial = GuidanceTrial(guidance=how, frechet=one, change=one, precision=one, recall=one, coverage=one, seconds=1.0)
    found = GuidanceRecord(
        weights="w",
        n=64,
        seed=3,
        sampling=config.sampling,
        features=FeaturesRecord(name="small", hash="f", resize="none", dim=8),
        reference=ReferenceRecord(source="digits", hash="r", images=89),
        trials=(trial,),
        chosen=how,
        average=Average(length=0.15, weights="v"),
    )
    adopt(run, found)
    after = run.card.read_text(encoding="utf-8").splitlines()
    changed = [(old, new) for old, new in zip(before.splitlines(), after, strict=True) if old != new]
    ((old, new),) = changed
    assert old.startswith("| sampling | unipc-2, 20 steps, trailing grid, guidance 1.")
    named = "guidance 1.4, away from averages/step-000000001, average of length 0.15 |"
    assert new == f"| sampling | unipc-2, 20 steps, trailing grid, {named}"
    run.card.unlink()
    adopt(run, found)
    assert not run.card.exists()
    assert run.guidance() == found


def test_without_classes(config: RunConfig) -> None:
    data = config.data.model_copy(update={"classes": ()})
    text = card(config.model_copy(update={"data": data}), "runs/a/", 1)
    assert "| classes | none |" in text
    assert "label" not in text
    assert "\n---\n# a\n" in text


@pytest.mark.parametrize("prompt", ["red heart", "it's -n 3", "at \\(night\\)", "-1"])
def test_with_captions_it_shows_a_prompt(prompt: str, config: RunConfig) -> None:
    text = WordsConfig(vocabulary="red heart", characters="abc", length=8)
    network = replace(config.network, token_width=32)
    made = card(config.model_copy(update={"text": text, "network": network}), "runs/a", 1, prompt)
    assert "| captions | 2 words, 8 tokens |" in made
    (shell,) = (line for line in made.splitlines() if line.startswith("ddpm sample"))
    assert shlex.split(shell)[5:] in (["--prompt", prompt], [f"--prompt={prompt}"])
    assert f"prompt={json.dumps(prompt)})" in made
    assert "captions" not in card(config, "runs/a", 1)
