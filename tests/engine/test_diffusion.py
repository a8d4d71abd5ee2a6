"""Laws of the engine: what an image is a function of, and what it is not."""

import threading
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny import CLASSES, NETWORKS, loaded

from cases import cases
from ddpm.config.options import changed
from ddpm.config.sampling import SamplingConfig
from ddpm.core import Level
from ddpm.core.condition import Conditions, select
from ddpm.core.discrete import linear
from ddpm.core.gaussian import diffuse
from ddpm.engine import Diffusion, Guides, Task, batches
from ddpm.engine.options import settings
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects
from ddpm.guidance import ClassGradient
from ddpm.guidance.classifier import Direction
from ddpm.sampling import Randn, Row
from ddpm.sampling.follow import Moment
from refusal import refuses

ROWS = [*(Row(1, i) for i in range(10)), Row(7, 0), Row(7, 3), *(Row(2**63, i) for i in range(5)), Row(7, 2**40)]
"""Of three requests; more than a batch is filled up to."""

LABELS = torch.arange(len(ROWS)) % len(CLASSES)


def how(run: LoadedRun, **changes: Any) -> SamplingConfig:
    return settings(run, {"steps": 3, **changes})


def ends(draw: Callable[..., Any], *arguments: Any, **keywords: Any) -> torch.Tensor:
    """Where images end, as floats and in their order: 8 bits would hide a difference."""
    last: list[torch.Tensor] = []

    def watch(moment: Moment) -> None:
        if moment.number == moment.of:
            last.append(moment.x)

    for _ in draw(*arguments, watch=watch, **keywords):
        pass
    return torch.cat(last)


def check_rows_share(
    engine: Diffusion, how: SamplingConfig, given: Conditions, guides: Guides, alone: Sequence[int]
) -> None:
    """Rows together, in another order, as two requests and each alone are the same, bit for bit."""
    n = len(ROWS)
    assert n > len(engine.fill(1))
    together = ends(engine.draw, how, ROWS, given, guides)
    assert len(together.flatten(1).unique(dim=0)) == n
    parts = [list(range(10)), list(range(10, n)), list(reversed(range(n))), *([i] for i in alone)]
    for part in parts:
        between = None if guides.between is None else select(guides.between, torch.tensor(part))
        own = replace(guides, between=between)
        mine = ends(engine.draw, how, [ROWS[i] for i in part], select(given, torch.tensor(part)), own)
        assert torch.equal(mine, together[part]), part


@cases(
    ("number", "changes"),
    enumerate(
        [
            {"solver": "ancestral", "guidance": 3.0},
            {"solver": "edm", "churn": 2.0, "guidance": 1.0},
            {"solver": "sde-dpm++-2m", "grid": "karras", "guidance": 3.0, "negative": "star", "guidance_rescale": 0.7},
            {"solver": "heun", "size": (12, 10), "guidance": 2.0},
            {"solver": "ancestral", "size": (12, 10), "whole": True, "guidance": 2.0},
            {"solver": "ancestral", "size": (4, 6), "whole": True, "guidance": 2.0},
        ]
    ),
)
def test_rows_of_different_requests_share_a_batch(number: int, changes: dict[str, Any]) -> None:
    """Each way on two kinds of networks, and each kind of network in two ways or more."""
    kinds = [*NETWORKS]
    for kind in (kinds[number % len(kinds)], kinds[(number + 2) % len(kinds)]):
        run = loaded("RGB", kind=kind)
        asked = how(run, **changes)
        check_rows_share(
            run.engine, asked, {"label": LABELS}, run.guides(asked, Subjects(tuple(LABELS.tolist()))), [17]
        )


@cases("changes", [{"solver": "ancestral"}, {"solver": "heun", "size": (12, 10), "guidance_rescale": 0.7}])
def test_rows_guided_in_stages_share_a_batch(changes: dict[str, Any]) -> None:
    """Each through a condition of its own, also in windows, and in several batches; and not as without it."""
    run = loaded("L")
    asked = how(run, guidance=3.0, guidance_label=1.5, **changes)
    guides = Guides(away={}, between={"label": LABELS.roll(1)})
    check_rows_share(run.engine, asked, {"label": LABELS}, guides, [0, 17])
    together = ends(run.engine.draw, asked, ROWS, {"label": LABELS}, guides)
    assert torch.equal(ends(run.engine.draws, asked, ROWS, {"label": LABELS}, guides, batch=7), together)
    one = ends(run.engine.draw, asked, ROWS, {"label": LABELS}, Guides(away={}))
    assert (one - together).abs().flatten(1).amax(1).min() > 1e-3


def test_guided_through_the_full_condition_the_scale_is_that_of_the_label() -> None:
    run, given = loaded("L"), {"label": LABELS}
    stages = ends(
        run.engine.draw, how(run, guidance=4.0, guidance_label=2.0), ROWS, given, Guides(away={}, between=given)
    )
    one = ends(run.engine.draw, how(run, guidance=2.0), ROWS, given, Guides(away={}))
    torch.testing.assert_close(stages, one, rtol=0, atol=1e-4)


def test_also_where_a_worse_model_guides() -> None:
    """Which has encoders of its own for what the rows are conditioned on."""
    run = loaded("L")
    weak = deepcopy(run.engine.model)
    for p in weak.parameters():
        p.mul_(0.9)
    asked = how(run, solver="ancestral", guidance=3.0)
    check_rows_share(run.engine, asked, {"label": LABELS}, Guides(weak=weak), [0, 17])


@cases("noise", [False, True])
def test_rows_of_super_resolution_share_a_batch(noise: bool) -> None:
    """Small images as stored, guided; or with noise, of each row its own strength."""
    run = loaded("RGB", scale=2, kind="dit" if noise else "unet")
    low = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (len(ROWS), 4, 4, 3), np.uint8))
    asked = how(run, solver="ancestral", guidance=1.0 if noise else 3.0)
    if noise:
        conditioner: Any = run.engine.model.conditioners["low_resolution"]
        eps = torch.randn(len(ROWS), 3, 8, 8, generator=torch.Generator().manual_seed(0))
        low = conditioner.noised(conditioner.enlarged(low), torch.linspace(0, 0.5, len(ROWS)), eps)
    given = {"label": LABELS, "low_resolution": low}
    check_rows_share(run.engine, asked, given, Guides(away={"low_resolution": low[:1]}), [0, 17])


def test_guided_away_from_the_condition_itself_nothing_changes() -> None:
    """The null condition sees the image and its noise, too: the two answers differ by the label alone."""
    run = loaded("RGB", scale=2)
    low = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8))
    plain, guided = (
        ends(run.engine.draw, how(run, guidance=scale, clip=False), ROWS[:2], {"low_resolution": low}, guides)
        for scale, guides in ((1.0, Guides()), (3.0, Guides(away={"low_resolution": low[:1]})))
    )
    torch.testing.assert_close(guided, plain, rtol=0, atol=1e-4)


def towards(target: torch.Tensor, at: Sequence[int]) -> Direction:
    """To a shade of each row's own, which a classifier of means would know it by."""

    def logits(x: torch.Tensor, level: Level) -> torch.Tensor:
        return -(x.mean((1, 2, 3))[:, None] - target).square()

    return ClassGradient(logits, torch.tensor(at), 30.0)


def test_later_batches_have_the_guides_and_the_tasks_of_their_rows() -> None:
    run = loaded("L")
    n, target = len(ROWS), torch.linspace(-1, 1, len(ROWS))
    x0 = torch.linspace(-1, 1, n).reshape(n, 1, 1, 1).expand(n, 1, 8, 8)
    asked = changed(how(run, solver="ancestral", guidance=1.0), {"classifier": 30.0})
    level = run.engine.schedule.level(60)

    def task(at: list[int]) -> Task:
        def begin(level: Level, randn: Randn) -> torch.Tensor:
            return diffuse(x0[at], randn(), level)

        return Task(levels=[level, run.engine.schedule.level(0)], begin=begin)

    guides = Guides(towards=partial(towards, target))
    together = ends(run.engine.draw, asked, ROWS, {"label": LABELS}, guides, task=task)
    in_parts = ends(run.engine.draws, asked, ROWS, {"label": LABELS}, guides, task=task, batch=7)
    assert torch.equal(in_parts, together)
    for without in ({"guides": Guides(), "task": task}, {"guides": guides}):
        assert not torch.equal(ends(run.engine.draw, asked, ROWS, {"label": LABELS}, **without), together)


def test_large_images_drawn_at_once_are_drawn_one_by_one() -> None:
    """So that what fits the memory is known; each with its own task, and equal rows are equal images."""
    run, sizes, told = loaded("L"), list[int](), list[tuple[int, int]]()
    rows = [Row(3, 0), Row(3, 1), Row(3, 0)]
    asked = how(run, solver="ancestral", size=(16, 12), whole=True, guidance=1.0)
    x0 = torch.tensor([-1.0, 0, -1]).reshape(3, 1, 1, 1).expand(3, 1, 16, 12)
    level = run.engine.schedule.level(60)

    def task(at: list[int]) -> Task:
        levels = [level, run.engine.schedule.level(30), run.engine.schedule.level(0)]
        return Task(levels=levels, begin=lambda level, randn: diffuse(x0[at], randn(), level))

    hook = run.engine.model.net.register_forward_pre_hook(lambda net, given: sizes.append(len(given[0])))
    try:
        first, second, third = run.engine.draw(
            asked, rows, {"label": LABELS[[0, 1, 0]]}, task=task, progress=lambda *now: told.append(now)
        )
    finally:
        hook.remove()
    assert np.array_equal(first, third)
    assert not np.array_equal(first, second)
    assert set(sizes) == {1}
    assert told == [(i, 6) for i in range(1, 7)]


def test_two_threads_are_as_two_turns() -> None:
    run = loaded("RGB")
    asked = how(run, solver="ancestral", guidance=2.0)

    def drawn(seed: int) -> bytes:
        return run.draw(asked, Subjects((seed % 3, 0)), seed, [0, 1]).tobytes()

    turns = {seed: drawn(seed) for seed in range(4)}
    found: dict[int, bytes] = {}
    threads = [threading.Thread(target=lambda seed=seed: found.update({seed: drawn(seed)})) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == turns


@cases("changes", [{"solver": "ancestral"}, {"solver": "heun", "size": (12, 10), "whole": True}])
def test_a_large_network_draws_rows_one_by_one(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    """Unfilled, and nevertheless the same in any company; inverted, too."""
    monkeypatch.setattr(batches, "LARGE", 1)
    run, few = loaded("RGB"), slice(0, 3)
    asked, given = how(run, guidance=2.0, **changes), {"label": LABELS[few]}
    assert run.engine.fill(1, asked) == [0]
    together = ends(run.engine.draw, asked, ROWS[few], given, Guides(away={}))
    alone = ends(run.engine.draw, asked, ROWS[1:2], select(given, slice(1, 2)), Guides(away={}))
    assert torch.equal(alone, together[1:2])
    plain = how(run, solver="ddim", guidance=1.0, clip=False)
    x0 = together[:, :, :8, :8].contiguous()
    told: list[tuple[int, int]] = []
    noises = run.engine.invert(plain, x0, given, lambda *now: told.append(now))
    assert told[-1] == (9, 9)
    assert torch.equal(run.engine.invert(plain, x0[2:], select(given, slice(2, 3))), noises[2:])


def test_drawing_leaves_torchs_generator_alone() -> None:
    run, before = loaded("RGB"), torch.get_rng_state()
    run.draw(how(run, solver="ancestral"), Subjects((0,)), 0, [0])
    assert torch.equal(before, torch.get_rng_state())


def test_an_inverted_image_is_drawn_again() -> None:
    """To a few shades in 25 steps; the other images of a batch do not matter."""
    run = loaded("L")
    asked = how(run, solver="heun", steps=25, grid="log-snr", clip=False, guidance=1.0)
    given, told = {"label": LABELS[:2]}, list[tuple[int, int]]()
    drawn = run.engine.draw(asked, ROWS[:2], given)
    noises = run.engine.invert(asked, run.engine.encoded(drawn), given, lambda *now: told.append(now))
    assert told == [(i, 25) for i in range(1, 26)]
    alone = run.engine.invert(asked, run.engine.encoded(drawn[1:]), select(given, slice(1, 2)))
    assert torch.equal(alone, noises[1:])

    def task(at: list[int]) -> Task:
        return Task(begin=lambda level, randn: noises[at])

    again = run.engine.draw(asked, [Row(9, 9), Row(9, 8)], given, task=task)
    inside = (drawn > 0) & (drawn < 255)  # nothing of it clipped
    assert inside.any()
    assert np.abs(again.astype(int) - drawn)[inside].mean() < 3


def test_off_the_ticks_there_may_be_more_steps_than_levels() -> None:
    run = loaded("L")
    short = replace(run.engine, schedule=linear(4))
    nine, four = (short.draw(how(run, grid="karras", steps=steps), ROWS[:1]) for steps in (9, 4))
    assert not np.array_equal(nine, four)
    with refuses("invalid"):
        short.draw(how(run, grid="uniform", steps=9), ROWS[:1])
