import torch

from ddpm.conditioning import ImageCondition, LabelEmbedding, Pairs
from ddpm.config.network import UNetSettings
from ddpm.core import LowResolution
from ddpm.core.model import Model
from ddpm.networks import UNet
from ddpm.networks.embeddings import TimeEmbedding


def model() -> Model:
    torch.manual_seed(0)
    settings = UNetSettings(
        in_channels=2, out_channels=1, width=8, multipliers=(1,), blocks=1, attention=(), cond_width=4
    )
    made = Model(UNet(settings), LabelEmbedding(2, 4), ImageCondition(TimeEmbedding(8, 4)))
    with torch.no_grad():
        for p in made.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return made


def test_the_network_sees_the_image_its_noise_and_the_label() -> None:
    """Each of the four changes the output; nothing else of a row does."""
    net, x, t = model(), torch.randn(1, 1, 4, 4), torch.zeros(1)
    image, s, label = torch.randn(1, 1, 4, 4), torch.tensor([0.1]), torch.tensor([0])

    def answer(image: torch.Tensor, s: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        out: torch.Tensor = net.net(x, t, net.cond(label, LowResolution(image, s)))
        return out

    plain = answer(image, s, label)
    assert plain.shape == x.shape
    for other in (answer(image + 0.5, s, label), answer(image, s + 0.2, label), answer(image, s, label + 1)):
        assert (other - plain).abs().max() > 1e-3
    assert torch.equal(answer(image, s, label), plain)


def test_the_parts_are_added() -> None:
    net = model()
    low = Pairs(2, 0.5).plain(torch.randn(3, 1, 4, 4))
    both = net.cond(torch.tensor([0, 1, 2]), low)
    assert both is not None
    assert net.image is not None
    assert net.conditioner is not None
    alone = net.cond(None, low)
    assert alone is not None
    assert both.vector is not None
    assert alone.vector is not None
    torch.testing.assert_close(both.vector - alone.vector, net.conditioner.table.weight)
    assert torch.equal(both.image, low.image)
    assert torch.equal(alone.image, low.image)


def test_without_an_encoder_images_mean_nothing() -> None:
    assert Model(torch.nn.Identity()).cond(None, Pairs(2, 0.5).plain(torch.randn(3, 1, 4, 4))) is None
