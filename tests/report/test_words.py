"""Numbers and settings as a page writes them."""

from ddpm.config.sampling import SamplingConfig
from ddpm.report.numbers import amount, measured, percent, signed
from ddpm.report.tables import parts, sampling


def test_numbers() -> None:
    for say, numbers in [
        (amount, {0: "0", 950: "950", 7664: "7.66 k", 153_152: "153 k", 2e6: "2 M", 0.05: "0.05", -3: "−3"}),
        (measured, {0.0123: "0.0123", 0.612: "0.612", 8.414: "8.41", 23.56: "23.6", 1204.4: "1,204", -4e-4: "−0.0004"}),
        (percent, {0: "0\u00a0%", 1: "100\u00a0%", 0.58: "58.0\u00a0%", 2 / 2048: "0.10\u00a0%", 45e-5: "0.04\u00a0%"}),
        (signed, {0.02: "+0.020", -0.02: "−0.020"}),
    ]:
        assert {x: say(x) for x in numbers} == numbers


def test_a_way_of_sampling() -> None:
    guide = {"checkpoint": "step-000000008", "weights": "abc"}
    guided = {"guidance": 2.5, "guidance_interval": (0.25, 5.0), "guidance_parallel": 0.0, "guide_with": guide}
    words = sampling(SamplingConfig.of(steps=10, threshold=0.9, **guided))
    assert words.startswith("unipc-2, 10 steps, trailing grid, guidance 2.5, guide with step-000000008, ")
    assert words.endswith("guidance interval 0.25 to 5, guidance parallel 0, threshold 0.9")
    assert sampling(None) == ""
    listed = SamplingConfig.of(grid=(1000, 350.5))
    assert sampling(listed) == "unipc-2, 2 steps, 1000,350.5 grid, guidance 1"
    assert parts(listed, steps=False) == ["unipc-2", "listed levels", "guidance 1"]
