import torch
from torch import nn

from ddpm.training.muon import COEFFICIENTS, MOMENTUM, RMS, ROUNDS, Muon, orthogonalised


def test_only_the_singular_values_change() -> None:
    """U S Vᵀ -> U φ(S) Vᵀ with φ the iterated quintic, for wide and tall matrices, and φ(S) is about 1."""
    generator = torch.Generator().manual_seed(0)
    a, b, c = COEFFICIENTS
    for shape in [(24, 60), (60, 24), (16, 16), (1, 8)]:
        matrix = torch.randn(shape, dtype=torch.float64, generator=generator)
        u, s, v = torch.linalg.svd(matrix, full_matrices=False)
        phi = s / s.norm()
        for _ in range(ROUNDS):
            phi = a * phi + b * phi**3 + c * phi**5
        torch.testing.assert_close(orthogonalised(matrix), u @ torch.diag(phi) @ v, rtol=1e-4, atol=1e-5)
        assert phi[s > 0.05 * s.max()].min() > 0.6
        assert phi.max() < 1.25


def trained(optimizer: torch.optim.Optimizer, net: nn.Module, steps: int) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        x = torch.randn(32, 4, 6, 6, generator=generator)
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()


def make_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 8, 3), nn.GELU(), nn.Conv2d(8, 12, 3), nn.GELU(), nn.Flatten(), nn.Linear(48, 3))


def test_a_step_moves_each_matrix_by_the_rate() -> None:
    """The first step of a matrix is its orthogonalised gradient times 0.2 √max(n, m) · rate."""
    net = make_net()
    hidden = [net[2].weight]
    others = [p for p in net.parameters() if p is not hidden[0]]
    before = net[2].weight.detach().clone()
    muon = Muon(hidden, others, lr=0.01, betas=(0.9, 0.99), weight_decay=0.1, dtype=torch.float32, fused=True)
    net(torch.ones(2, 4, 6, 6)).sum().backward()
    assert net[2].weight.grad is not None
    gradient = net[2].weight.grad.flatten(1)
    muon.step()
    expected = (1 - 0.001) * before.flatten(1) - 0.01 * RMS * 72**0.5 * orthogonalised(gradient)
    torch.testing.assert_close(net[2].weight.detach().flatten(1), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(muon.state[hidden[0]]["exp_avg"].flatten(1), (1 - MOMENTUM) * gradient)


def test_other_weights_are_trained_by_adamw() -> None:
    ours, theirs = make_net(), make_net()
    options = {"lr": 1e-3, "betas": (0.9, 0.99), "weight_decay": 0.01}
    trained(Muon([], ours.parameters(), dtype=torch.float32, fused=True, **options), ours, 3)
    trained(torch.optim.AdamW(theirs.parameters(), **options), theirs, 3)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-7)
