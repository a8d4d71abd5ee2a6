from ddpm.config import SamplingConfig


def test_sampling_settings_are_complete() -> None:
    assert SamplingConfig().model_dump() == {
        "solver": "ddim",
        "steps": 50,
        "grid": "trailing",
        "eta": None,
        "guidance": 1.0,
        "clip": True,
    }
