import torch

from cases import cases
from ddpm import build
from ddpm.system.meta import shapes_only
from tiny import NETWORKS, loaded


@cases("kind", NETWORKS)
def test_a_network_has_its_shapes_and_nothing_else(kind: str) -> None:
    run, before = loaded("RGB", kind=kind), torch.get_rng_state()
    with shapes_only():
        found = build.build_model(run.config).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert {tensor.device.type for tensor in found.values()} == {"meta"}
    own = run.engine.model.state_dict()
    assert {name: (t.shape, t.dtype) for name, t in found.items()} == {n: (t.shape, t.dtype) for n, t in own.items()}
