import shlex
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

from .conftest import Evaluate
from .scores import make_score


def parsed(command: commands.Command, function: Any) -> dict[str, Any]:
    """The arguments that the command line makes of a printed command."""
    words = shlex.split(str(command))
    assert words == list(command.argv)
    assert words[0] == "ddpm"
    app = App(result_action="return_value")
    app.command(function)
    _, bound, _ = app.parse_args(words[1:], exit_on_error=False, print_error=False)
    return bound.arguments


def asked(flags: Any) -> dict[str, Any]:
    """The options of a run that were given."""
    return {name: value for name, value in given(flags).items() if name not in OF_COMMAND}


@pytest.fixture
def config(run: Path) -> RunConfig:
    return read(run).config


@pytest.mark.parametrize("folder", ["runs/a", "my runs/it's", "runs/$HOME"])
def test_the_train_command_asks_for_what_was_asked(config: RunConfig, folder: str) -> None:
    given = parsed(commands.train(config, Path(folder)), train)
    assert given["data"] == config.data.source
    assert given["out"] == Path(folder)
    assert asked(given["flags"]) == config.request
    assert config.request["set"]


def test_every_kind_of_flag(config: RunConfig) -> None:
    request = {
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
    changed = config.model_copy(update={"request": request})
    assert asked(parsed(commands.train(changed, Path("r")), train)["flags"]) == request


def test_the_sample_command_takes_any_class_name(config: RunConfig) -> None:
    names = ("cat", "big cat", "-x", "--seed", "it's", "<&>")
    data = config.data.model_copy(update={"classes": names})
    given = parsed(commands.sample(config.model_copy(update={"data": data}), Path("r")), sample)
    assert (given["run"], given["n"], tuple(given["label"])) == (Path("r"), 16, names)


def test_without_classes_there_is_no_label(config: RunConfig) -> None:
    data = config.data.model_copy(update={"classes": ()})
    given = parsed(commands.sample(config.model_copy(update={"data": data}), Path("r")), sample)
    assert "label" not in given


def test_the_evaluate_command_says_all_that_the_score_recorded(run: Path, evaluate: Evaluate) -> None:
    evaluate("a", make_score("w", steps=7, guidance=1.5, eta=0.5, clip=False))
    words = list(commands.evaluate(read(run).evaluations[0], run).argv)
    assert words[:3] == ["ddpm", "evaluate", str(run)]
    pairs = dict(pairwise(words))
    wanted = {"-n": "64", "--data": "digits", "--features": "small", "--seed": "3", "--steps": "7"}
    wanted |= {"--solver": "ddim", "--grid": "power", "--guidance": "1.5", "--eta": "0.5"}
    assert {key: pairs[key] for key in wanted} == wanted
    assert "--no-clip" in words


@pytest.mark.parametrize("grid", ["trailing", "karras", (1000, 700, 99.5)])
def test_a_way_of_sampling_is_that_of_its_flags(grid: Any) -> None:
    guided = {"guidance": 2.0, "negative": "cat", "guidance_interval": (0.2, 5.0), "guidance_parallel": 0.0}
    how = SamplingConfig.of(grid=grid, clip=False, **guided)
    command = commands.Command("", ("ddpm", "evaluate", "r", *commands.sampling(how)))
    assert SamplingConfig.of(steps=how.steps, **given(parsed(command, evaluate_command)["flags"])) == how


def test_a_checkpoint_is_evaluated_as_a_checkpoint(run: Path, evaluate: Evaluate) -> None:
    path = run / "checkpoints" / "step-000000008"
    score = make_score("w")
    samples = score.samples.model_copy(update={"source": str(path)})
    evaluate("a", score.model_copy(update={"samples": samples}))
    assert commands.evaluate(read(run).evaluations[0], run).argv[2] == str(path)
