"""The contenders of benchmarks/vs_diffusers.py still run, on one network of as many weights."""

import pytest

SUBJECT = {"network": {"in_channels": 1, "out_channels": 1, "width": 64, "multipliers": [1, 2], "attention": [2]}}


@pytest.fixture
def rooms():
    from side_by_side import contender, ours, subject, theirs

    return ours, theirs, subject.Subject(**SUBJECT, size=8, batch=2), contender


def test_contenders_run(rooms):
    ours, theirs, subject, _ = rooms
    made = [ours.training(subject), ours.training(subject, peer=True), theirs.training(subject)]
    made += [ours.sampling(subject, steps=2), theirs.sampling(subject, steps=2)]
    for contender in made:
        for act in contender.acts.values():
            act()
    assert len({contender.facts["weights"] for contender in made}) == 1


def test_a_process_of_its_own_takes_its_turn(rooms):
    *_, subject, contender = rooms
    entry = {"ddpm": contender.Contender("ours.training", subject, keep_freed=True)}
    with contender.start(entry, threads=1) as running:
        took = contender.take_turns(running, [("ddpm", "step")], rounds=2, times=1, say=lambda _: None)
        assert running["ddpm"].peak() > 1e8
    assert len(took["ddpm", "step"]) == 2
    assert contender.ratios(took, ("ddpm", "step"), ("ddpm", "step")) == (1, 1, 1)


def test_a_contender_that_cannot_begin_says_why(rooms):
    *_, subject, contender = rooms
    with (
        pytest.raises(RuntimeError, match=r"No module named 'side_by_side\.nothing'"),
        contender.start({"x": contender.Contender("nothing.training", subject)}, threads=1),
    ):
        pass
