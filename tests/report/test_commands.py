from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from ddpm.cli.evaluate import evaluate as evaluate_command
from ddpm.cli.flags import given
from ddpm.cli.sample import sample
from ddpm.cli.train import OF_COMMAND, train
from ddpm.config.run import RunConfig
from ddpm.config.sampling import SamplingConfig
from ddpm.report import commands
from ddpm.report.reading import read

from .scores import make_score


def parsed(words: list[str], function: Any) -> dict[str, Any]:
    """The arguments that the command line makes of a command, with its groups of flags as those given."""
    assert words[0] == "ddpm"
    app = App(result_action="return_value")
    app.command(function)
    _, bound, _ = app.parse_args(words[1:], exit_on_error=False, print_error=False)
    flags = given(bound.arguments["flags"]) if "flags" in bound.arguments else {}
    return bound.arguments | {"flags": {name: flags[name] for name in flags if name not in OF_COMMAND}}


@pytest.fixture
def config(run: Path) -> RunConfig:
    return read(run).config


def test_the_train_command_asks_for_what_was_asked(config: RunConfig) -> None:
    every_kind = {
        "for": "10m",
        "size": "48x64",
        "mode": "RGB",
        "skip_bad": True,
        "labels": False,
        "flip": True,
        "batch": 16,
        "micro_batch": 8,
        "lr": 2.5e-05,
        "prediction": "v",
        "seed": 7,
        "set": ['data.x="a b"', "training.ema=0.5", "network.attention=[2]"],
    }
    assert config.request["set"]
    for request in (config.request, every_kind):
        asked = parsed(commands.train(config.model_copy(update={"request": request}), Path("runs/a")), train)
        assert (asked["data"], asked["out"], asked["flags"]) == (config.data.source, Path("runs/a"), request)


@pytest.mark.parametrize("names", [("cat", "big cat", "-x", "--seed", "it's", "<&>"), ()])
def test_the_sample_command_takes_any_class_name(names: tuple[str, ...], config: RunConfig) -> None:
    data = config.data.model_copy(update={"classes": names})
    asked = parsed(commands.sample(config.model_copy(update={"data": data}), Path("r")), sample)
    assert (asked["run"], asked["n"], tuple(asked.get("label", ()))) == (Path("r"), 16, names)


def test_the_evaluate_command_says_all_that_the_score_recorded() -> None:
    run, checkpoint = Path("runs/a"), "runs/a/checkpoints/step-000000008"
    score = make_score("w", steps=7, guidance=1.5, eta=0.5, clip=False)
    words = commands.evaluate(score, run)
    assert words[:3] == ["ddpm", "evaluate", "runs/a"]
    pairs = dict(pairwise(words))
    wanted = {"-n": "64", "--data": "digits", "--features": "small", "--seed": "3", "--steps": "7"}
    wanted |= {"--solver": "ddim", "--grid": "trailing", "--guidance": "1.5", "--eta": "0.5"}
    assert {key: pairs[key] for key in wanted} == wanted
    assert "--no-clip" in words
    samples = score.samples.model_copy(update={"source": checkpoint})
    assert commands.evaluate(score.model_copy(update={"samples": samples}), run)[2] == checkpoint


@pytest.mark.parametrize("grid", ["trailing", "karras", (1000, 700, 99.5)])
def test_a_way_of_sampling_is_that_of_its_flags(grid: Any) -> None:
    guided = {"guidance": 2.0, "negative": "cat", "guidance_interval": (0.2, 5.0), "guidance_parallel": 0.0}
    how = SamplingConfig.of(grid=grid, clip=False, **guided)
    words = ["ddpm", "evaluate", "r", *commands.sampling(how)]
    assert SamplingConfig.of(steps=how.steps, **parsed(words, evaluate_command)["flags"]) == how
