from pathlib import Path

from ddpm.config.sampling import SamplingConfig
from ddpm.report.evaluations import Evaluation, by_steps, by_training, evaluations, headline

from .conftest import Evaluate
from .scores import MEASURE, make_score

USUAL = SamplingConfig.of(steps=10)


def found(run: Path) -> tuple[Evaluation, ...]:
    return evaluations(run / "evaluations")


def test_none(run: Path) -> None:
    assert found(run) == ()
    assert headline((), "w", USUAL) is None


def test_they_come_oldest_first_without_what_cannot_be_read(run: Path, evaluate: Evaluate) -> None:
    for name in ("b", "c", "a"):
        evaluate(name, make_score("w"))
    (evaluate("broken", make_score("w")) / "score.json").write_text('{"format": 3}')
    (run / "evaluations" / "killed").mkdir()
    assert [e.name for e in found(run)] == ["b", "c", "a"]


def test_the_headline_is_of_the_runs_own_weights_and_usual_settings(run: Path, evaluate: Evaluate) -> None:
    def best() -> str:
        e = headline(found(run), "final", USUAL)
        assert e is not None
        return e.name

    evaluate("checkpoint", make_score("early"))
    assert best() == "checkpoint"
    evaluate("other steps", make_score("final", steps=50))
    assert best() == "other steps"
    evaluate("usual", make_score("final"))
    evaluate("few steps", make_score("final", steps=5))
    evaluate("later checkpoint", make_score("late"))
    assert best() == "usual"
    evaluate("again", make_score("final"))
    assert best() == "again"


def test_a_sweep_over_steps_keeps_other_ways_apart(run: Path, evaluate: Evaluate) -> None:
    evaluate("20", make_score("w", steps=20))
    evaluate("5", make_score("w", steps=5))
    evaluate("guided 5", make_score("w", steps=5, guidance=3.0))
    evaluate("guided 9", make_score("w", steps=9, guidance=3.0))
    evaluate("alone", make_score("w", steps=9, solver="ancestral"))
    evaluate("other weights", make_score("v", steps=7))
    evaluate("other measure", make_score("w", steps=7, measure=MEASURE.model_copy(update={"n": 9})))
    evaluate("5 again", make_score("w", steps=5))
    every = found(run)
    ways = [{steps: e.name for steps, e in way.items()} for way in by_steps(every, every[0])]
    assert ways == [{5: "5 again", 20: "20"}, {5: "guided 5", 9: "guided 9"}]
    assert list(ways[0]) == [5, 20]


def test_stages_of_training_share_all_but_their_weights(run: Path, evaluate: Evaluate) -> None:
    evaluate("end", make_score("w", images=192))
    assert by_training(found(run), found(run)[0]) == {}
    evaluate("start", make_score("a", images=16))
    evaluate("middle", make_score("b", images=96))
    evaluate("middle, other steps", make_score("b", images=96, steps=4))
    every = found(run)
    stages = [(images, e.name) for images, e in by_training(every, every[0]).items()]
    assert stages == [(16, "start"), (96, "middle"), (192, "end")]
