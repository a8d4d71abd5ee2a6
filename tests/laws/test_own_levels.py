"""Where each image of a batch is at a level of its own, it is answered as if it were alone there."""

from collections.abc import Callable

import torch

from cases import cases
from ddpm.constraints import DDNM, MMPS, AveragePool, Blur, Composed, Grey, Mask, Operator
from ddpm.core import Cond, Denoised, Denoiser, Level, NetworkDenoiser, Parameterisation, prediction
from ddpm.core.level import stacked
from ddpm.core.parameterisation import UnitVariance
from ddpm.guidance import ClassifierFree, Clipped, GuidanceInterval
from ddpm.guidance.classifier import ClassGradient, ClassifierGuided
from ddpm.guidance.interval import Within
from ddpm.sampling.windows import Windows

from .every import between
from .exact import meeting

LEVELS = [between(ratio) for ratio in (0.003, 0.2, 1.0, 7.0, 2e4)] + [Level(0.0, 0.0, 1.0)]
SHAPE = (3, 4, 6)
N = len(LEVELS)
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(N, *SHAPE, generator=GENERATOR, dtype=torch.float64)
COND = Cond(torch.randn(N, 3, generator=GENERATOR, dtype=torch.float64))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
Y = torch.rand(1, *SHAPE, generator=GENERATOR, dtype=torch.float64) * 2 - 1
KNOWN = torch.rand(1, 1, 4, 6, generator=GENERATOR) < 0.5
OPERATORS: dict[str, Operator] = {
    "mask": Mask(KNOWN),
    "pool": AveragePool(2),
    "grey": Grey(),
    "blur": Blur(1.3),
    "mask of a small grey image": Composed(Composed(Mask(KNOWN[:, :, ::2, ::2]), AveragePool(2)), Grey()),
}


def base(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
    """No perfect one, but of x, the level, the timestep in x and the condition."""
    level = meeting(level, x)
    shift = 0.0 if cond is None else cond.vector[..., None, None]
    row = torch.linspace(0.5, 1, x.shape[-1], dtype=x.dtype)
    out = torch.tanh(row * level.alpha * x / (level.alpha**2 + level.sigma**2) + 0.1 * level.sigma + shift)
    return Denoised(out, out.square())


def classify(x: torch.Tensor, level: Level) -> torch.Tensor:
    """(B, 3) logits."""
    level = meeting(level, x)
    return (level.alpha * x).mean((2, 3)).sin() * 3


def network(x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
    return (x * t.to(x).reshape(-1, 1, 1, 1)).sin()


def towards(labels: torch.Tensor) -> ClassGradient:
    return ClassGradient(classify, labels, 2.0)


Ways = dict[str, Callable[[torch.Tensor], Denoiser]]
FREE = ClassifierFree(base, Cond(torch.zeros(1, 3, dtype=torch.float64)), 3.0)
WAYS: Ways = {
    "base": lambda labels: base,
    "clipped": lambda labels: Clipped(base, 0.5),
    "classifier-free": lambda labels: FREE,
    "interval": lambda labels: GuidanceInterval(FREE, base, 0.1, 5.0),
    "open interval": lambda labels: GuidanceInterval(FREE, base, 0.0, 1e9),
    "classifier": lambda labels: ClassifierGuided(base, towards(labels)),
    "classifier within an interval": lambda labels: ClassifierGuided(base, Within(towards(labels), 0.1, 5.0)),
    "windows": lambda labels: Windows(base, (4, 4), 0.5),
    "windows in several calls": lambda labels: Windows(FREE, (2, 4), 0.5, batch=5),
    **{
        f"network, {name}": lambda labels, predict=predict: NetworkDenoiser(
            network, Parameterisation(predict, UnitVariance())
        )
        for name, predict in {"x0": prediction.x0, "v": prediction.v, "flow": prediction.flow}.items()
    },
}
for _name, _operator in OPERATORS.items():
    for _noise in (0.0, 0.3):
        WAYS[f"ddnm of {_name}, noise {_noise}"] = lambda labels, o=_operator, n=_noise: DDNM(base, o, o.forward(Y), n)
        WAYS[f"mmps of {_name}, noise {_noise}"] = lambda labels, o=_operator, n=_noise: MMPS(base, o, o.forward(Y), n)


@cases("name", WAYS)
def test_an_image_at_its_own_level_is_answered_as_alone(name):
    """And as at that level of floats, which is where it is on a grid."""
    with torch.no_grad():
        together = WAYS[name](LABELS)(X, stacked(LEVELS), COND)
        for i, level in enumerate(LEVELS):
            one = WAYS[name](LABELS[i : i + 1])
            for alone in (level, stacked([level])):
                answer = one(X[i : i + 1], alone, COND.rows(slice(i, i + 1)))
                for part, whole in zip(answer, together, strict=True):
                    assert (part is None) == (whole is None)
                    if part is not None:
                        torch.testing.assert_close(part[0], whole[i], rtol=1e-9, atol=1e-9)
