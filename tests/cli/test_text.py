"""Captions from the command line: trained, prompted, measured, distilled, and left out."""

import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import ddpm
from ddpm.engine.loading import load
from ddpm.evaluation.tune import AskTune, tune
from ddpm.records.alignment import AlignmentRecord
from ddpm.records.provenance import Provenance
from ddpm.records.run_folder import RunFolder
from ddpm.sampling.tuning import Round
from ddpm.system.progress import silent
from ddpm.text.words import WordEncoder
from flags import TINY
from stopping import digests, stopped_at
from text_encoders import save_encoder

Cli = Callable[..., int]
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220), "yellow": (230, 220, 40)}
SHAPES = ("square", "bar", "corner")
FLAGS = (
    *("--images", "192", "--batch", "16", "--precision", "fp32", *TINY),
    *("--set", "training.checkpoint_every=64", "--set", "training.previews=1"),
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """480 small images of coloured shapes, each with its caption beside it."""
    folder, rng = tmp_path_factory.mktemp("shapes"), np.random.default_rng(0)
    for i in range(480):
        (colour, rgb), shape = list(COLOURS.items())[i % 4], SHAPES[i // 4 % 3]
        pixels = np.full((8, 8, 3), 250, np.uint8)
        top, left = rng.integers(0, 4, 2)
        pixels[top : top + 4, left : left + (2 if shape == "bar" else 4)] = rgb
        if shape == "corner":
            pixels[top + 2 : top + 4, left + 2 : left + 4] = 250
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")
        (folder / f"{i:03d}.txt").write_text(f"a {colour} {shape}\n{colour}\n")
    return folder


@pytest.fixture(scope="module")
def run(cli: Cli, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 12 steps on these images; for reading only."""
    folder = tmp_path_factory.mktemp("text") / "run"
    assert cli("train", images, "--out", folder, *FLAGS) == 0
    return folder


def test_captions_are_used_where_there_are_any(cli: Cli, images: Path, run: Path, tmp_path: Path) -> None:
    text = RunFolder(run).config().text
    assert text is not None
    assert text.kind == "words"
    assert {*COLOURS, *SHAPES, "a"} == set(text.words)
    assert RunFolder(run).config().objective.levels.name == "stratified"
    assert cli("train", images, "--out", tmp_path / "run", "--no-text", *FLAGS) == 0
    assert RunFolder(tmp_path / "run").config().text is None
    assert RunFolder(tmp_path / "run").config().objective.levels.name == "logit-normal"


def test_samples_are_named_after_their_prompts_and_drawn_again(
    cli: Cli, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prompts.txt").write_text("a red bar\n\n  blu corner\n", encoding="utf-8")
    out = tmp_path / "out"
    flags = ("--negative-prompt", "green", "--guidance", "2", "--steps", "2")
    assert cli("sample", run, "--prompts", tmp_path / "prompts.txt", "--out", out, *flags) == 0
    assert "'blu' (did you mean 'blue'?)" in " ".join(capsys.readouterr().out.split())
    assert sorted(path.name for path in out.iterdir()) == ["00000-a_red_bar.png", "00001-blu_corner.png", "grid.png"]
    record = Provenance.read(out / "00000-a_red_bar.png")
    assert record.prompt == "a red bar"
    assert record.sampling.guidance is not None
    assert record.sampling.guidance.negative_prompt == "green"
    assert cli("sample", "--from", out / "00000-a_red_bar.png", "--out", tmp_path) == 0
    again = Image.open(tmp_path / "00000-a_red_bar-again.png")
    assert np.array_equal(again, Image.open(out / "00000-a_red_bar.png"))


def test_pictures_of_different_prompts_are_kept_apart(cli: Cli, run: Path, tmp_path: Path) -> None:
    """Also if their letters are the same, cannot stand in file names, or are too many for one."""
    samples = RunFolder(run).pictures("samples")
    before = {*samples.glob("*")} if samples.exists() else set()
    long = "é" * 300
    for prompts in (["red bar"], ["red_bar"], ["🔵"], ["🟦"], ["../red"], ["𠀀" * 300], [long, f"b{long}", f"c{long}"]):
        flags = [flag for prompt in prompts for flag in ("--prompt", prompt)]
        assert cli("sample", run, *flags, "-n", str(len(prompts)), "--steps", "1") == 0
    for prompts in ("red\n", f"{'𠀀' * 300}\nred\n"):
        (tmp_path / "prompts.txt").write_text(prompts, encoding="utf-8")
        assert cli("sample", run, "--prompts", tmp_path / "prompts.txt", "--steps", "1") == 0
    made = {*samples.glob("*")} - before
    assert len(made) == 9
    assert sorted(len([*folder.iterdir()]) for folder in made) == [2] * 7 + [3, 4]


def test_prompts_in_other_commands(cli: Cli, run: Path, images: Path, tmp_path: Path) -> None:
    pair = ("--prompt", "red bar", "--prompt", "blue corner")
    assert cli("interpolate", run, *pair, "-n", "3", "--steps", "2", "--out", tmp_path / "between") == 0
    assert len(list((tmp_path / "between").glob("0*.png"))) == 3
    edited = ("edit", run, images / "000.png", "--strength", "0.5", "--prompt", "blue square", "--steps", "3")
    assert cli(*edited, "--out", tmp_path / "edited") == 0
    assert Provenance.read(tmp_path / "edited" / "00000.png").prompt == "blue square"
    swept = ("sweep", run, "--solvers", "ddim", "--steps", "2", "--prompt", "red", "--samples", "0", "-n", "2")
    assert cli(*swept, "--out", tmp_path / "swept") == 0


def test_steps_are_tuned_for_prompts(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a prompt, guidance would have nothing to guide to."""
    loaded, prompts, encode = load(run, "cpu"), set[str](), WordEncoder.__call__

    def spy(encoder: WordEncoder, given: Sequence[str]) -> NDArray[np.float32]:
        prompts.update(given)
        return encode(encoder, given)

    monkeypatch.setattr(WordEncoder, "__call__", spy)
    ask = AskTune((2,), ("dpm++-2m",), images=12, reference=6, rounds=(Round(1.0, 1, 1),), sampling={"guidance": 2.0})
    found = tune(loaded, ask, silent)
    assert found.grids[0].sampling.guidance_scale == 2.0
    assert len(prompts & {f"a {colour} {shape}" for colour in COLOURS for shape in SHAPES}) > 6


def test_alignment_is_measured(cli: Cli, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = save_encoder(tmp_path / "clip", "clip")
    assert cli("alignment", run, "-n", "16", "--samples", "4", "--clip", clip) == 0
    folder, out = RunFolder(run), capsys.readouterr().out
    record = AlignmentRecord.read(folder.alignment_file)
    assert (record.n, record.held_out, record.labels, len(record.levels)) == (16, True, False, 4)
    assert record.retrieval is not None
    assert (record.retrieval.samples, record.retrieval.images, record.retrieval.among) == (4, 4, 10)
    assert record.clip is not None
    assert record.clip.folder == str(clip)
    assert all(said in out for said in ("held-out images", "found", "CLIP score", str(folder.alignment_sheet)))
    page = folder.report.read_text(encoding="utf-8")
    assert all(f'<th scope="row">{prompt}</th>' in page for prompt in record.prompts)


def test_the_alignment_of_a_checkpoint_leaves_that_of_the_run(cli: Cli, run: Path) -> None:
    (first, *_) = sorted((run / "checkpoints").iterdir())
    before = {path.name for path in run.iterdir()}
    assert cli("alignment", first, "-n", "16", "--samples", "0") == 0
    assert {path.name for path in run.iterdir()} - before == {f"{first.name}-alignment.json"}


def test_a_finished_run_shows_how_to_prompt_it(
    cli: Cli, images: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = (line for line in RunFolder(run).card.read_text().splitlines() if line.startswith("ddpm sample"))
    *_, flag, prompt = shlex.split(line)
    assert flag == "--prompt"
    assert prompt in {(images / f"{i:03d}.txt").read_text().splitlines()[0] for i in range(12)}
    assert cli("train", images, "--out", run, *FLAGS) == 0
    assert f"next: ddpm sample {run} -n 16 --prompt {shlex.quote(prompt)}" in capsys.readouterr().out


def test_samples_to_measure_have_captions_of_the_reference(cli: Cli, run: Path) -> None:
    assert cli("evaluate", run, "-n", "16", "--steps", "2") == 0
    (folder,) = RunFolder(run).evaluations.iterdir()
    assert '"prompts": "reference"' in (folder / "score.json").read_text()


def test_a_student_reads_prompts(cli: Cli, run: Path, tmp_path: Path) -> None:
    flags = ("--images", "64", "--batch", "16", "--precision", "fp32", "--guidance", "2", "--teacher-steps", "3")
    assert cli("distill", run, "--steps", "2", "--out", tmp_path / "student", *flags) == 0
    pipe = ddpm.load(tmp_path / "student")
    red, blue = pipe.sample(2, prompt=["a red bar", "a blue bar"], indices=[0, 0], output="numpy")
    assert not np.array_equal(red, blue)


def test_an_interrupted_run_is_resumed_bit_for_bit(cli: Cli, images: Path, run: Path, tmp_path: Path) -> None:
    """Which of the two captions an image has depends on the epoch, not on when training started."""
    with stopped_at(6):
        assert cli("train", images, "--out", tmp_path / "run", *FLAGS) == 75
    assert cli("train", images, "--out", tmp_path / "run", *FLAGS) == 0
    assert digests(tmp_path / "run", 12) == digests(run, 12)


def test_a_frozen_encoder_is_needed_only_for_new_prompts(
    cli: Cli, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Captions are encoded once; a run whose encoder has moved samples without prompts, and says what is missing."""
    encoder = save_encoder(tmp_path / "bert")
    assert cli("train", images, "--text", encoder, "--out", tmp_path / "run", *FLAGS) == 0
    text = RunFolder(tmp_path / "run").config().text
    assert text is not None
    assert text.kind == "pretrained"
    assert (text.source, text.width) == (str(encoder), 16)
    pipe = ddpm.load(tmp_path / "run")
    red, blue = pipe.sample(2, prompt=["a red cat", "a blue dog"], indices=[0, 0], guidance=50.0, output="numpy")
    assert not np.array_equal(red, blue)
    encoder.rename(tmp_path / "elsewhere")
    assert cli("sample", tmp_path / "run", "-n", "1", "--steps", "2") == 0
    capsys.readouterr()
    assert cli("sample", tmp_path / "run", "-n", "1", "--prompt", "red") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(encoder) in said
    shutil.copytree(tmp_path / "elsewhere", tmp_path / "run" / "text")
    moved = ddpm.load(tmp_path / "run").sample(prompt="a red cat", guidance=50.0, output="numpy")
    assert np.array_equal(moved[0], red)
