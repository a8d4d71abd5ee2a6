"""A student beside a teacher whose trajectory is known exactly, as data is Gaussian."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from ddpm.core import Cond, Parameterisation, discrete, prediction
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.objectives.distillation import ROUND, Distillation, StudentPath, pseudo_huber
from ddpm.sampling import DDIM
from laws.exact import Gaussian

SCHEDULE = discrete.cosine(100)
TIMESTEPS = (100.0, 60.0, 25.0)
LEVELS = tuple(SCHEDULE.level(t) for t in (*TIMESTEPS, 0))
DATA = Gaussian(torch.tensor([0.3, -0.2, 0.1]).double(), torch.diag(torch.tensor([0.3, 0.1, 0.02])).double())
IMAGES = torch.zeros(4, 3, 1, 1, dtype=torch.uint8)


def ddim(denoise, x, now, next):
    return DDIM().step(denoise, x, now, next, None, None)[0]


def exact(x, conditions):
    """The exact flow, from level to level."""
    for now, next in pairwise(LEVELS):
        x = DATA.flow(x.double(), now, next).float()
        yield x


class Told(nn.Module):
    """A student that knows its teacher: at each level the x0 whose DDIM step ends on the exact trajectory.

    It is told nothing but t and x, as the flow from a level is a function of these. An error is added to its answers.
    """

    def __init__(self, error: float = 0.0) -> None:
        super().__init__()
        self.error = nn.Parameter(torch.full((len(TIMESTEPS), 1), error))

    def forward(self, x, t, cond=None):
        k = next(k for k, level in enumerate(LEVELS) if level.t == float(t[0]))
        now, after = LEVELS[k], LEVELS[k + 1]
        y = DATA.flow(x.double(), now, after)
        c = after.sigma / now.sigma
        return ((y - c * x) / (after.alpha - c * now.alpha)).float() + self.error[k]


def objective(teacher=exact, **options) -> Distillation:
    return Distillation(
        (StudentPath(TIMESTEPS, LEVELS),), (3, 1), teacher, Parameterisation(prediction.x0), ddim, **options
    )


def losses(made: Distillation, net: nn.Module, batch: int = 4, rows: range = range(4), step: int = 7) -> torch.Tensor:
    draws = made.draws(RowStreams(3, step, batch, rows), made.history())
    return made.losses(Model(net), IMAGES[: len(rows)], {}, draws)


def test_the_trajectory_itself_costs_nothing():
    assert losses(objective(), Told()).abs().max() < 1e-5
    assert losses(objective(), Told(0.1)).min() > 1e-2


def test_distances_are_averaged_over_the_levels():
    """Of the student's own x, each step from where the one before ended, to the teacher's: written out."""
    made, net = objective(), Told(0.3)
    draws = made.draws(RowStreams(3, 7, 4, range(4)), None)
    x = y = LEVELS[0].sigma * draws.streams.normal("noise", (3, 1))
    wanted = torch.zeros(4)
    for now, next in pairwise(LEVELS):
        x0 = net(x, torch.full((4,), float(now.t)))
        eps = (x - now.alpha * x0) / now.sigma
        x, y = next.alpha * x0 + next.sigma * eps, DATA.flow(y.double(), now, next).float()
        wanted += ((x - y).square().mean((1, 2)) + ROUND**2).sqrt() - ROUND
    torch.testing.assert_close(made.losses(Model(net), IMAGES, {}, draws), wanted / 3)


def test_a_step_has_no_gradient_into_those_before():
    """The loss of each level alone moves only what was answered there, and depends on the answers before."""
    made, net = objective(), Told(0.1)
    for k, (_, draws) in enumerate(made.held_out(0, 4, 8)):
        (gradient,) = torch.autograd.grad(made.losses(Model(net), IMAGES, {}, draws).sum(), net.error)
        assert [bool(row.abs().sum() > 0) for row in gradient] == [i == k for i in range(3)]
    before = made.losses(Model(net), IMAGES, {}, draws)
    with torch.no_grad():
        net.error[0] += 0.1
    assert not torch.equal(made.losses(Model(net), IMAGES, {}, draws), before)


def test_all_steps_are_trained():
    net = Told(0.1)
    losses(objective(), net).sum().backward()
    assert bool((net.error.grad.abs() > 0).all())


def test_the_target_is_a_matter_of_the_teacher_alone():
    seen = []

    def watched(x, conditions):
        for y in exact(x, conditions):
            seen.append(y)
            yield y

    for error in (0.0, 0.5):
        losses(objective(watched), Told(error))
    assert len(seen) == 6
    assert all(torch.equal(one, other) for one, other in zip(seen[:3], seen[3:], strict=True))


def test_rows_depend_on_their_own_number_only():
    whole = losses(objective(), Told(0.1))
    assert torch.equal(losses(objective(), Told(0.1), rows=range(2, 4)), whole[2:])
    assert torch.equal(objective().losses(Model(Told(0.1)), IMAGES[:1], {}, _part(slice(1, 2))), whole[1:2])
    assert not torch.equal(losses(objective(), Told(0.1), step=8), whole)
    assert not torch.equal(losses(objective(seed=1), Told(0.1)), whole)


def _part(where: slice):
    return objective().draws(RowStreams(3, 7, 4, range(4)), None).part(where)


def test_held_out_losses_depend_on_the_weights_alone():
    first, again = ([float(_held(d).mean()) for _, d in objective().held_out(5, 4, 8)] for _ in range(2))
    assert first == again
    assert [t for t, _ in objective().held_out(5, 4, 8)] == [100, 60, 25]
    noises = [draws.streams.normal("noise", (3, 1)) for _, draws in objective().held_out(5, 4, 8)]
    assert torch.equal(noises[0], noises[2])  # one trajectory


def _held(draws):
    return objective().losses(Model(Told(0.1)), IMAGES, {}, draws).detach()


def test_bins_share_the_levels():
    (first, draws), (second, others) = objective().held_out(5, 4, 2)
    assert (first, second) == (100, 60)
    assert [d.timesteps[0].tolist() for d in (draws, others)] == [[100.0], [60.0, 25.0]]
    single = [_held(d) for _, d in objective().held_out(5, 4, 3)]
    torch.testing.assert_close(_held(others), (single[1] + single[2]) / 2)


def test_no_step_is_taken_after_the_last_that_counts():
    taken = []

    def counted(denoise, x, now, next):
        taken.append(next)
        return ddim(denoise, x, now, next)

    made = Distillation((StudentPath(TIMESTEPS, LEVELS),), (3, 1), exact, Parameterisation(prediction.x0), counted)
    _, draws = next(made.held_out(5, 4, 3))
    made.losses(Model(Told()), IMAGES, {}, draws)
    assert taken == [LEVELS[1]]


PATHS = (
    StudentPath((100.0,), (LEVELS[0], LEVELS[-1])),
    StudentPath((100.0, 25.0), (LEVELS[0], *LEVELS[2:])),
    StudentPath(TIMESTEPS, LEVELS),
)


class Numbered(nn.Module):
    """Learns one answer to each number of steps, and records for which it was asked."""

    def __init__(self):
        super().__init__()
        self.answers, self.asked = nn.Parameter(torch.tensor([0.1, 0.2, 0.3])), []

    def forward(self, x, t, cond=None):
        self.asked.append((int(cond.vector[0, 0]), float(t[0]) + 1))  # a discrete level i is fed as i - 1
        return self.answers[cond.vector[:, 0].long() - 1].reshape(-1, 1, 1).expand_as(x)


class Number(nn.Module):
    def encode(self, raw):
        return Cond(vector=raw[:, None])

    def null(self, n):
        raise AssertionError("the number is given")

    def drop(self, raw, mask):
        return raw


def test_every_number_of_steps_is_trained_beside_one_trajectory():
    """The loss is the mean of those of the single numbers; each is told its own, and the teacher is asked once."""
    trajectories = []

    def watched(x, conditions):
        trajectories.append(x)
        return exact(x, conditions)

    net = Numbered()
    model = Model(net, {"steps": Number()})
    made = Distillation(PATHS, (3, 1), watched, Parameterisation(prediction.x0), ddim)
    draws = made.draws(RowStreams(3, 7, 4, range(4)), None)
    found = made.losses(model, IMAGES, {}, draws)
    assert net.asked == [(1, 100.0), (2, 100.0), (2, 25.0), (3, 100.0), (3, 60.0), (3, 25.0)]
    assert len(trajectories) == 1
    found.sum().backward()
    assert bool((net.answers.grad.abs() > 0).all())

    def at(levels):
        def teacher(x, conditions):
            return (y for y, level in zip(exact(x, conditions), LEVELS[1:], strict=True) if level in levels)

        return teacher

    single = []
    for path in PATHS:
        one = Distillation((path,), (3, 1), at(path.levels), Parameterisation(prediction.x0), ddim)
        single.append(one.losses(model, IMAGES, {}, one.draws(RowStreams(3, 7, 4, range(4)), None)))
    torch.testing.assert_close(found, torch.stack(single).mean(0))


def test_a_held_out_level_is_that_of_all_paths_through_it():
    model = Model(Numbered(), {"steps": Number()})
    made = Distillation(PATHS, (3, 1), exact, Parameterisation(prediction.x0), ddim)
    seen = {}
    for timestep, draws in made.held_out(5, 4, 8):
        model.net.asked.clear()
        made.losses(model, IMAGES, {}, draws)
        seen[timestep] = list(model.net.asked)
    assert seen[100] == [(1, 100.0), (2, 100.0), (3, 100.0)]
    assert seen[60] == [(3, 100.0), (3, 60.0)]
    assert seen[25] == [(2, 100.0), (2, 25.0), (3, 100.0), (3, 60.0), (3, 25.0)]


class Labels(nn.Module):
    """Labels as numbers; -1 is null."""

    def encode(self, raw):
        self.encoded = raw.tolist()
        return Cond(vector=raw[:, None].float())

    def null(self, n):
        raise AssertionError("labels are given")

    def drop(self, raw, mask):
        return torch.where(mask, -1, raw)


def test_student_and_teacher_have_the_same_labels():
    """Those of the batch, some dropped for both."""
    seen = []

    def told(x, conditions):
        seen.append(conditions["label"].tolist())
        return exact(x, conditions)

    made = objective(told, dropout=0.5)
    draws = made.draws(RowStreams(3, 7, 4, range(4)), None)
    model = Model(Told(), {"label": Labels()})
    made.losses(model, IMAGES, {"label": torch.tensor([5, 6, 7, 8])}, draws)
    assert draws.hidden is not None
    assert 0 < int(draws.hidden.sum()) < 4
    wanted = [-1 if hidden else label for hidden, label in zip(draws.hidden.tolist(), [5, 6, 7, 8], strict=True)]
    assert seen == [wanted]
    assert model.conditioners["label"].encoded == wanted


def test_the_guidance_scale_is_drawn_for_each_image_and_told_to_both():
    seen = []

    def told(x, conditions):
        seen.append(conditions["guidance"])
        return exact(x, conditions)

    class Recorded(Number):
        def encode(self, raw):
            seen.append(raw)
            return super().encode(raw)

    made = objective(told, guidance=(1.0, 5.0))
    model = Model(Told(), {"guidance": Recorded()})
    draws = made.draws(RowStreams(3, 7, 64, range(64)), None)
    made.losses(model, torch.zeros(64, 1), {}, draws)
    taught, learned = seen
    assert torch.equal(taught, learned)
    assert 1 <= float(taught.min()) < 1.5
    assert 4.5 < float(taught.max()) <= 5
    seen.clear()
    made.losses(model, torch.zeros(8, 1), {}, draws.part(slice(8, 16)))
    assert torch.equal(seen[0], taught[8:16])


@pytest.mark.parametrize(("distance", "wanted"), [(0.0, 0.0), (100.0, 100.0)])
def test_the_distance_is_the_root_mean_square_far_away_and_smooth_near_zero(distance, wanted):
    x = torch.full((2, 3, 4), distance, requires_grad=True)
    found = pseudo_huber(x, torch.zeros(2, 3, 4))
    assert found.tolist() == pytest.approx([wanted] * 2, abs=1.01 * ROUND)
    found.sum().backward()
    assert bool(x.grad.isfinite().all())
