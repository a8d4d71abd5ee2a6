import shlex
from pathlib import Path

import pytest

from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.records.card import card


@pytest.fixture(scope="module")
def config(digits_run: Path) -> RunConfig:
    return RunConfig.read(digits_run / "config.json")


def test_it_says_what_the_model_is(config: RunConfig) -> None:
    text = card(config, "runs/digits", 12_345_678)
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


def test_without_classes(config: RunConfig) -> None:
    data = config.data.model_copy(update={"classes": ()})
    text = card(config.model_copy(update={"data": data}), "runs/a/", 1)
    assert "| classes | none |" in text
    assert "label" not in text
    assert text.startswith("# a\n")
