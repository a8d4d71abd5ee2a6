from dataclasses import replace

import pytest
from tests.tiny import CLASSES, loaded

from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import NOTHING, Subjects
from ddpm.system.errors import InputError
from ddpm.tasks.upscale import passed_on


def knowing(*classes: str) -> LoadedRun:
    """A run of super-resolution with these classes."""
    run = loaded("RGB", scale=2)
    data = run.config.data.model_copy(update={"classes": classes})
    return replace(run, config=run.config.model_copy(update={"data": data}))


def test_classes_go_by_name_however_they_were_asked_for() -> None:
    base, larger = loaded("RGB"), knowing(*reversed(CLASSES))
    for asked in (["star", "circle"], [2, 0], ["2", "0"]):
        told = passed_on(base, larger, base.subjects(asked, n=2), 2).label
        assert told == ["star", "circle"]
        assert larger.labels(told, 2) == [0, 2]


def test_unknown_classes_are_not_passed_on() -> None:
    base = loaded("RGB")
    assert passed_on(base, knowing("star", "moon", "sun"), Subjects((0, 2)), 2).label is None
    assert passed_on(base, knowing("star", "moon", "sun"), Subjects((2, 2)), 2).label == ["star", "star"]
    assert passed_on(base, knowing(*CLASSES), NOTHING, 2).label is None


def test_what_the_second_run_has_not_learned() -> None:
    for base, larger, said in (
        (loaded("RGB"), loaded("RGB"), "shapes .*super-resolution"),
        (loaded("L"), loaded("RGB", scale=2), "shapes .* L .* RGB"),
    ):
        with pytest.raises(InputError, match=said):
            passed_on(base, larger, NOTHING, 2)
    assert passed_on(loaded("RGBA"), loaded("RGB", scale=2), NOTHING, 2).label is None
