"""The loss of an autoencoder beside its equation, and what its discriminator and its scales do."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from ddpm.codec import PixelCodec
from ddpm.config.autoencoder import AutoencoderSettings
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.networks import Autoencoder, PatchDiscriminator
from ddpm.objectives.adversarial import PatchAdversary
from ddpm.objectives.autoencoding import Autoencoding, resized

STEPS = 100
PLAIN = Autoencoding(PixelCodec().encode, None, 0.0, 0.5, STEPS, 0.0, 0.0)
SETTINGS = AutoencoderSettings(width=8, multipliers=(1, 1), patch=2, blocks=1, attention=False, norm_groups=8)


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    model = Model(Autoencoder(SETTINGS), auxiliary=PatchDiscriminator(3, 8, 2))
    with torch.no_grad():
        for p in model.net.parameters():
            p += 0.1 * torch.randn_like(p)
    return model


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (4, 16, 24, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def streams(step: int, n: int = 4) -> RowStreams:
    return RowStreams(7, step, n, range(n))


def losses(objective: Autoencoding, model: Model, images: torch.Tensor, step: int) -> torch.Tensor:
    return objective.losses(model, images, {}, objective.draws(streams(step, len(images)), None))


@torch.no_grad()
def test_the_loss_is_that_of_rombach_et_al(model, images):
    """A sum over all latents of an image stands beside a sum over all its values."""
    x = PixelCodec().encode(images)
    mean, logvar = model.net.moments(x)
    std = (logvar / 2).exp()
    y = model.net.decode(mean + std * streams(50).normal("latents", mean.shape[1:]))
    divergence = kl_divergence(Normal(mean, std), Normal(0.0, 1.0)).sum((1, 2, 3))
    summed = (x - y).abs().sum((1, 2, 3)) + 0.5 * divergence
    torch.testing.assert_close(losses(PLAIN, model, images, 50) * x[0].numel(), summed)
    # warmed up over the first tenth
    warm = replace(PLAIN, warmup=0.1)
    y = model.net.decode(mean + std * streams(4).normal("latents", mean.shape[1:]))
    summed = (x - y).abs().sum((1, 2, 3)) + 0.4 * 0.5 * divergence
    torch.testing.assert_close(losses(warm, model, images, 4) * x[0].numel(), summed)


@torch.no_grad()
def test_a_part_of_a_batch_is_the_part_of_the_whole(model, images):
    for step in range(4):
        objective = replace(PLAIN, equivariance=0.5)
        draws = objective.draws(streams(step), None)
        whole = objective.losses(model, images, {}, draws)
        part = objective.losses(model, images[1:3], {}, draws.part(slice(1, 3)))
        torch.testing.assert_close(part, whole[1:3])


class Ideal(nn.Module):
    """An autoencoder whose latents are the image's 4 × 4 means, and that draws them as flat squares."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 1, 1, 1))
        self.asked: list[torch.Size] = []

    def moments(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = nn.functional.avg_pool2d(x, 4)
        return mean, torch.full_like(mean, -30)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        self.asked.append(z.shape[2:])
        return nn.functional.interpolate(z, scale_factor=4)


@torch.no_grad()
def test_latents_that_follow_scale_cost_nothing():
    """Of flat images, at every scale; the scales are drawn for a share of the batches."""
    flat = torch.randint(0, 256, (3, 1, 1, 3), dtype=torch.uint8).expand(-1, 32, 48, -1)
    model = Model(ideal := Ideal())
    for step in range(40):
        found = losses(replace(PLAIN, kl=0.0, equivariance=0.5), model, flat, step)
        torch.testing.assert_close(found, torch.zeros(3), atol=1e-5, rtol=0)
    smaller = {tuple(size) for size in ideal.asked} - {(8, 12)}
    assert len(smaller) > 5
    assert all(2 <= h < 8 and 3 <= w < 12 for h, w in smaller)
    assert 10 < sum(size == (8, 12) for size in ideal.asked) < 30


def test_resizing_is_that_of_pytorch():
    x = torch.randn(2, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    theirs = torch.nn.functional.interpolate(x, (5, 9), mode="bilinear", antialias=True)
    torch.testing.assert_close(resized(x, [5, 9]), theirs)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(resized(x, [5, 9]), theirs)


def grads(model: Model, objective: Autoencoding, images: torch.Tensor, step: int) -> tuple[float, torch.Tensor]:
    """The largest gradient of the discriminator, and the decoder's last one."""
    model.zero_grad()
    losses(objective, model, images, step).mean().backward()
    last = model.net.decoder.conv_out.weight.grad
    assert model.auxiliary is not None
    assert last is not None
    judged = [p.grad for p in model.auxiliary.parameters() if p.grad is not None]
    return max((float(grad.abs().max()) for grad in judged), default=0.0), last.clone()


def test_the_discriminator_starts_alone_and_can_be_dropped(model, images):
    judged = replace(PLAIN, adversary=PatchAdversary(0.5, 0.1, 0.5))
    for step, trained, felt in [(49, False, False), (50, True, False), (59, True, False), (60, True, True)]:
        (_, plain), (moved, last) = grads(model, PLAIN, images, step), grads(model, judged, images, step)
        assert (moved > 0) == trained
        assert torch.allclose(plain, last) != felt
    model.auxiliary.active.zero_()
    (_, plain), (moved, last) = grads(model, PLAIN, images, 60), grads(model, judged, images, 60)
    assert moved == 0
    torch.testing.assert_close(plain, last)


def test_the_two_gradients_are_in_proportion(model, images):
    """At the reconstruction of each image, whatever the scale of the discriminator."""
    x, weight = PixelCodec().encode(images), 0.5
    y = (x + 0.1 * torch.randn_like(x)).requires_grad_()
    error = (x - y).abs().flatten(1).mean(1)
    model.auxiliary.requires_grad_(False)
    with torch.no_grad():
        model.auxiliary.last.weight *= 100
    term = PatchAdversary(0.0, 0.0, weight)(model, x, y, error, 0.5)
    ours, theirs = (torch.autograd.grad(of.sum(), y, retain_graph=True)[0].flatten(1) for of in (error, term))
    torch.testing.assert_close(theirs.norm(dim=1), weight * ours.norm(dim=1), rtol=1e-4, atol=0)


def test_a_step_of_each_stage_can_be_measured(model, images):
    """At step 0, and at full size, whatever is drawn there."""
    judged = replace(PLAIN, adversary=PatchAdversary(0.5, 0.1, 0.5), equivariance=1.0)
    shares, stages = zip(*judged.parts, strict=True)
    assert shares == pytest.approx((0.5, 0.1, 0.4))
    last = [grads(model, stage, images, 0) for stage in stages]
    assert [moved > 0 for moved, _ in last] == [False, True, True]
    assert last[0][1].equal(last[1][1])
    assert not torch.allclose(last[1][1], last[2][1])
    torch.testing.assert_close(last[0][1], grads(model, PLAIN, images, 0)[1])
    assert [share for share, _ in PLAIN.parts] == [1.0]
    assert [share for share, _ in replace(judged, adversary=PatchAdversary(0.0, 1.0, 0.5)).parts] == [1.0]
