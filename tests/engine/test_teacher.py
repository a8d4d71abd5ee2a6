"""A run's trajectory at the levels of a student."""

from itertools import pairwise

import pytest
import torch

from ddpm.config.options import changed
from ddpm.core.stream import RowStreams
from ddpm.engine.options import settings
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects
from ddpm.engine.teacher import Teacher
from ddpm.sampling import DDIM, no_noise, rows_of, start
from ddpm.sampling.grid import divided
from tiny import loaded

VISITS = (100.0, 60.0, 25.0)
LABELS = torch.arange(16) % 3


def teacher(run: LoadedRun, visits: tuple[float, ...], **changes: object) -> Teacher:
    how = settings(run, {"solver": "unipc-2", "grid": tuple(divided(visits, 9)), **changes})
    return Teacher(run, how, [run.engine.schedule.level(t) for t in (*visits, 0)][1:])


def noise(run: LoadedRun) -> torch.Tensor:
    return RowStreams(0, 0, 16, range(16)).normal("noise", run.engine.shape)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_it_ends_at_the_samples_of_the_run(guidance: float) -> None:
    """Those that the engine draws with the same settings, guided and clipped, on the same noise."""
    run = loaded("RGB")
    made = teacher(run, VISITS, guidance=guidance)
    rows = rows_of(5, range(16))
    x = start(run.engine.grid(made.how)[0], run.engine.noise(rows))
    points = list(made(x, {"label": LABELS}))
    assert len(points) == 3
    drawn = run.draw(made.how, Subjects(tuple(LABELS.tolist())), 5, range(16))
    assert (run.engine.decoded(points[-1]) == drawn).all()


def test_a_point_is_where_the_grid_passes_its_level() -> None:
    """Fewer levels of the same path are the same points; no conditions are the null label, which is not guided."""
    run = loaded("L")
    made = teacher(run, VISITS, guidance=3.0)
    points, x = list(made(noise(run), {"label": LABELS})), noise(run)
    (last,) = Teacher(run, made.how, made.levels[-1:])(x, {"label": LABELS})
    assert torch.equal(last, points[-1])
    without = list(made(x, {}))
    assert not torch.equal(without[-1], last)
    unguided = list(teacher(run, VISITS, guidance=1.0)(x, {}))
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(without, unguided, strict=True))


def test_each_row_has_the_guidance_that_it_is_conditioned_on() -> None:
    run = loaded("L")
    scales = torch.tensor([1.0, 2.5, 4.0, 5.0] * 4)
    together = list(teacher(run, VISITS, guidance=5.0)(noise(run), {"label": LABELS, "guidance": scales}))
    for scale in (1.0, 2.5, 4.0):
        rows = scales == scale
        for point, alone in zip(
            together, teacher(run, VISITS, guidance=scale)(noise(run), {"label": LABELS}), strict=True
        ):
            torch.testing.assert_close(point[rows], alone[rows], atol=1e-5, rtol=1e-5)


def test_a_teacher_has_no_gradient_and_no_mode() -> None:
    run = loaded("L")
    points = list(teacher(run, VISITS)(noise(run).requires_grad_(), {"label": LABELS}))
    assert not any(point.requires_grad for point in points)


def test_rows_are_their_own() -> None:
    run = loaded("L")
    made, x = teacher(run, VISITS), noise(run)
    whole = list(made(x, {"label": LABELS}))
    for point, swapped in zip(whole, made(x.flip(0), {"label": LABELS.flip(0)}), strict=True):
        torch.testing.assert_close(swapped.flip(0), point, atol=1e-5, rtol=0)


def test_in_one_step_from_each_level_it_is_ddim() -> None:
    """As a student begins: its teacher's own steps."""
    run = loaded("L")
    how = changed(run.config.sampling, {"solver": "ddim", "grid": VISITS, "guidance": 1.0}, without=("steps",))
    levels = run.engine.grid(how)
    points = list(Teacher(run, how, levels[1:])(noise(run), {"label": LABELS}))
    x, denoise, cond = noise(run), run.engine.denoiser(how), run.engine.cond({"label": LABELS}, list(range(16)))
    for (now, next), point in zip(pairwise(levels), points, strict=True):
        x, _ = DDIM().step(lambda x, level: denoise(x, level, cond), x, now, next, None, no_noise)
        assert torch.equal(x, point)
