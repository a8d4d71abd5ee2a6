import pytest
import torch

from ddpm.system.device import best_device, best_precision, device_of
from refusal import refuses


def test_by_name_or_the_best_there_is() -> None:
    assert device_of("cpu") == torch.device("cpu")
    assert device_of(None) == best_device()


@pytest.mark.parametrize("name", ["toaster", "cuda:99"])
def test_one_that_is_not_here(name: str) -> None:
    with refuses("device", name):
        device_of(name)


@pytest.mark.parametrize(("native", "name"), [(True, "bf16"), (False, "fp16")])
def test_gpu(native: bool, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation  # any GPU emulates bf16, slowly

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert best_precision(torch.device("cuda"))[0] == name


@pytest.mark.parametrize(
    ("amx", "avx512", "name", "reason"),
    [
        (True, True, "bf16", "AMX"),
        (True, False, "bf16", "AMX"),
        (False, True, "bf16", "AVX512-BF16"),
        (False, False, "fp32", "no native bf16"),
    ],
)
def test_cpu(amx: bool, avx512: bool, name: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    found = best_precision(torch.device("cpu"))
    assert found[0] == name
    assert reason in found[1]


def test_a_torch_that_does_not_say_is_taken_for_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for ask in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, ask, raising=False)
    assert best_precision(torch.device("cpu"))[0] == "fp32"


def test_elsewhere() -> None:
    assert best_precision(torch.device("mps"))[0] == "fp32"
