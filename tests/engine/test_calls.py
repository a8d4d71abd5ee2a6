import pytest
import torch

from ddpm.config.sampling import SamplingConfig
from ddpm.engine.calls import network_calls
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import NOTHING, Subjects


@pytest.mark.parametrize(
    "how",
    [
        SamplingConfig.of(steps=5),
        SamplingConfig.of(steps=3, guidance=2.0),
        SamplingConfig.of(steps=6, guidance=2.0, guidance_interval=(0.3, 5.0)),
        SamplingConfig.of(steps=4, solver="heun", guidance=2.0, guidance_interval=(0.3, 5.0)),
        SamplingConfig.of(steps=3, solver="langevin"),
        SamplingConfig.of(grid=(1000.0, 333.3, 40.0), solver="dpm++-2s"),
    ],
    ids=lambda how: how.short,
)
@pytest.mark.parametrize("labelled", [True, False])
def test_the_network_gets_as_many_images(how: SamplingConfig, labelled: bool, loaded: LoadedRun) -> None:
    n, rows = 16, 0

    def count(net: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        nonlocal rows
        rows += len(given[0])

    hook = loaded.engine.model.net.register_forward_pre_hook(count)
    loaded.draw(how, Subjects((3,) * n) if labelled else NOTHING, 0, range(n))
    hook.remove()
    assert network_calls(loaded.config, how, labelled=labelled) * n == rows


def test_adaptive_steps_have_no_number(loaded: LoadedRun) -> None:
    assert network_calls(loaded.config, SamplingConfig.of(solver="adaptive", steps=2), labelled=True) is None
