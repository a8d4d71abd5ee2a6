import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from ddpm.report import write
from ddpm.report.page import render
from ddpm.report.reading import read
from refusal import refuses

from .conftest import Bits, Evaluate
from .scores import MEASURE, make_bits, make_score

VOID = {"meta", "link", "img", "br"}
ALWAYS = {"schedule", "commands", "settings"}
LOGGED = {"samples", "previews", "loss", "colour", "warnings"}


class Parsed(HTMLParser):
    """A page's tags, what they link to, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.sections: set[str] = set()
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    @property
    def text(self) -> str:
        return re.sub("[ \\n]+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        given = dict(attrs)
        self.links += [str(given[key]) for key in ("src", "href", "xlink:href", "srcset", "data") if key in given]
        if tag == "section":
            self.sections.add(str(given["id"]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page(run: Path) -> Parsed:
    return Parsed(render(read(run)))


def test_a_run_without_evaluations(run: Path) -> None:
    seen = page(run)
    assert seen.sections == ALWAYS | LOGGED | {"absent"}
    assert f"No evaluation yet: ddpm evaluate {run}" in seen.text
    assert "8 × 8 L images in 10 classes" in seen.text
    assert "192 images seen (0.1 epochs)" in seen.text
    assert "Not finished" not in seen.text


def test_a_run_with_everything(run: Path, evaluate: Evaluate, bits: Bits, weights: str) -> None:
    evaluate("early", make_score("e", frechet=40.0, images=128))
    evaluate("steps 5", make_score(weights, frechet=30.0, steps=5))
    evaluate("final", make_score(weights))
    add(run, "score", {"frechet": 33.25, "kid": 0.1, "n": 32, "seconds": 1.0, "best": True}, images=128)
    add(run, "warning", {"text": "colour drifts: <channel> 2"})
    bits("bound3", make_bits(weights))
    bits("ode", make_bits(weights, steps=None))
    seen = page(run)
    every = {"numbers", "quality", "evaluations", "closest", "classes", "likelihood"}
    assert seen.sections == ALWAYS | LOGGED | every
    for said in (
        *("Fréchet distance 12.0 11.0 to 13.0 real images: 2.50", "Kernel distance 0.0123", "Precision 50.0\u00a0%"),
        *("Coverage 75.0\u00a0%", "Copies 4.7\u00a0% 1.6\u00a0% to 12.9\u00a0% held-out images: 2.0\u00a0%"),
        *("Accuracy 50.0\u00a0% real images: 87.5\u00a0%", "few samples", "Evaluation “final”: 64 samples (unipc-2"),
        *("3 of 64 samples count as copies of one of the 1,708 training images", "3/<b>.png", "evaluated by ddpm 0"),
        *("The median distance is 0.910 for samples and 0.970 for held-out images",),
        *("grey +0.250 +0.500 −0.250 0.500 0.250 +0.250", "colour drifts: <channel> 2", "after 128 images"),
        *(
            "2 held-out 192 – bound, 3 steps, small variance 2.875 ± 0.125 0.250 0.625 2.000 3",
            "ODE 2.875 ± 0.125 – – – 450",
        ),
        *("Bits per dimension by level", "Cumulative share of the bits"),
        *("Quality against network calls", "Quality against training minutes, 64 samples"),
        *("unipc-2, trailing grid, guidance 1 5 5 30.0 29.0 to 31.0", "a student of run: ddpm distill"),
    ):
        assert said in seen.text, said


@pytest.mark.usefixtures("undrawn")
def test_a_student_says_what_it_is_and_shows_its_teacher(
    run: Path, student: Path, evaluate: Evaluate, weights: str
) -> None:
    for steps in (5, 10):
        evaluate(f"steps {steps}", make_score(weights, frechet=77.0 - steps, steps=steps))
    evaluate("own", make_score(weights, solver="ddim", grid=(1000.0, 500.0), clip=False), student)
    taught = f"2-step student of {run}, guidance 2"
    of_student, of_both = page(student), Parsed(render(read(run), [read(student)]))
    assert f"The {taught}, for 8 × 8 L images" in of_student.text
    assert f"ddpm distill {run} --out {student} --steps 2 --images 192" in of_student.text
    for seen in (of_student, of_both):
        assert f"fast : {taught}; 192 noise samples" in seen.text
        assert "run unipc-2, trailing grid, guidance 1 5 5 72.0" in seen.text
        assert "fast 2-step student 2 2 12.0 11.0 to 13.0" in seen.text
    assert "ddpm likelihood" not in of_student.text
    shutil.rmtree(run)
    assert f"Quality against network calls: ddpm report {student} TEACHER" in page(student).text


@pytest.mark.usefixtures("undrawn")
def test_numbers_of_other_weights_say_so(run: Path, evaluate: Evaluate, weights: str) -> None:
    evaluate("early", make_score("e", images=128))
    assert "for other weights than the run's own: those after 128 images" in page(run).text
    evaluate("final", make_score(weights))
    assert "for other weights" not in page(run).text


@pytest.mark.usefixtures("undrawn")
def test_scores_without_their_optional_parts(run: Path, evaluate: Evaluate, weights: str) -> None:
    bare = {"accuracy": None, "memorisation": None, "copy_rate": None, "inception_score": None, "notes": ()}
    score = make_score(weights).model_copy(update=bare)
    floorless = score.frechet.model_copy(update={"floor": None})
    unknown = score.samples.model_copy(update={"sampling": None, "seed": None, "images_seen": None, "labels": None})
    folder = evaluate("final", score.model_copy(update={"frechet": floorless, "samples": unknown}))
    (folder / "sheet.png").unlink()
    (folder / "closest.png").unlink()
    seen = page(run)
    assert seen.sections == ALWAYS | LOGGED | {"numbers", "absent"}
    assert "The preview after 192 images" in seen.text


@pytest.mark.usefixtures("undrawn")
def test_an_evaluation_that_is_all_there_leaves_one_thing_to_do(run: Path, evaluate: Evaluate, weights: str) -> None:
    evaluate("final", make_score(weights))
    text = page(run).text
    assert f"Quality against network calls: ddpm evaluate {run} -n 64 --features small --steps 5,10,20" in text
    assert f"Quality against training minutes: ddpm evaluate {run} -n 64 --features small --checkpoints" in text
    assert "No evaluation yet" not in text


@pytest.mark.usefixtures("undrawn")
def test_super_resolution_has_no_such_charts(enlarging_run: Path) -> None:
    text = page(enlarging_run).text
    assert "ddpm upscale" in text
    assert "Quality against" not in text


@pytest.mark.usefixtures("undrawn")
def test_a_killed_run(run: Path) -> None:
    log = (run / "log.jsonl").read_bytes()
    first = next(i for i, line in enumerate(log.splitlines()) if b'"train"' in line)
    (run / "log.jsonl").write_bytes(b"".join(log.splitlines(keepends=True)[: first + 1]) + b'{"kind": "trai')
    seen = page(run)
    assert re.search(r"Not finished: \d+ of 192 images, \d+ %", seen.text)
    assert "loss" in seen.sections


@pytest.mark.usefixtures("undrawn")
def test_an_interrupted_run(run: Path) -> None:
    lines = [line for line in (run / "log.jsonl").read_text().splitlines() if '"finish"' not in line]
    (run / "log.jsonl").write_text("\n".join(lines) + "\n")
    add(run, "interrupted", {})
    assert "Interrupted after 192 of 192 images, 100 %; re-run the same command" in page(run).text


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_has_only_begun(run: Path) -> None:
    for path in (run / "log.jsonl", run / "model.safetensors"):
        path.unlink()
    for folder in ("previews", "checkpoints"):
        shutil.rmtree(run / folder)
    seen = page(run)
    assert seen.sections == ALWAYS | {"absent"}
    assert "The log is still empty" in seen.text


def test_names_are_escaped(run: Path, evaluate: Evaluate, weights: str) -> None:
    bad = """<script>alert("x")</script>&amp;'"""
    config = json.loads((run / "config.json").read_text())
    config["data"]["classes"][3] = bad
    config["data"]["source"] = bad
    config["request"]["mode"] = bad
    (run / "config.json").write_text(json.dumps(config))
    score = make_score(weights, measure=MEASURE.model_copy(update={"reference": reference(bad)}))
    named = {"notes": (bad,), "accuracy": score.accuracy.model_copy(update={"by_class": {bad: 0.5}})}  # type: ignore[union-attr]
    evaluate(bad.replace("/", ""), score.model_copy(update=named))
    add(run, "warning", {"text": bad})
    add(run, "start", {"time": 0, "of": 192, "versions": {bad: bad}})
    text = render(read(run))
    assert "<script" not in text
    assert html.escape(bad, quote=False).replace("'", "&#39;").replace('"', "&#34;") in text
    assert Parsed(text).text.count("<script>") >= 7


def test_nothing_comes_from_elsewhere(run: Path, evaluate: Evaluate, weights: str) -> None:
    evaluate("final", make_score(weights))
    evaluate("steps 5", make_score(weights, steps=5))
    text = render(read(run))
    seen = Parsed(text)
    assert len(seen.links) > 5
    assert all(link.startswith(("data:", "#")) for link in seen.links)
    assert all(link.startswith("#") for link in re.findall(r"url\(([^)]*)\)", text))
    assert "@import" not in text


def test_the_same_folder_gives_the_same_bytes(run: Path, evaluate: Evaluate, weights: str) -> None:
    evaluate("final", make_score(weights))
    evaluate("steps 5", make_score(weights, steps=5))
    first = write(run).read_bytes()
    assert write(run).read_bytes() == first


@pytest.mark.usefixtures("undrawn")
def test_when_and_with_what_it_was_begun(run: Path) -> None:
    lines = (run / "log.jsonl").read_text().splitlines()
    begun = {"kind": "start", "step": 0, "images": 0, "of": 192, "time": 86400 * 365, "versions": {"torch": "2.9"}}
    again = {"kind": "start", "step": 8, "images": 128, "of": 192, "time": 86400 * 366}
    (run / "log.jsonl").write_text("\n".join([json.dumps(begun), json.dumps(again), *lines[1:]]) + "\n")
    assert "started 1971-01-01 00:00 UTC; resumed once; torch 2.9" in page(run).text


@pytest.mark.usefixtures("undrawn")
def test_small_pictures_are_enlarged_by_whole_numbers(run: Path) -> None:
    with Image.open(sorted((run / "previews").iterdir())[-1]) as sheet:
        width = sheet.width
    text = render(read(run))
    (shown,) = re.findall(rf'width="{width}" height="\d+" alt="samples" style="width: (\d+)px"', text)
    assert int(shown) % width == 0
    assert 450 < int(shown) <= 900


@pytest.mark.usefixtures("undrawn")
def test_where_it_is_written(run: Path, tmp_path: Path) -> None:
    assert write(run) == run / "report.html"
    out = tmp_path / "new" / "page.html"
    assert write(run, out) == out
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    with refuses("exists"):
        write(run, tmp_path)


def reference(source: str) -> object:
    return MEASURE.reference.model_copy(update={"source": source})


def add(run: Path, kind: str, values: dict[str, object], images: int = 192) -> None:
    """A line at the end of the run's log, before its finish if that is the last."""
    lines = (run / "log.jsonl").read_text().splitlines()
    end = lines.pop() if '"finish"' in lines[-1] else None
    lines.append(json.dumps({"kind": kind, "step": images // 16, "images": images, **values}))
    (run / "log.jsonl").write_text("\n".join(lines + [end] * (end is not None)) + "\n")
