import pytest

from ddpm.config.diffusion import DiffusionConfig


@pytest.mark.parametrize(
    ("schedule", "prediction", "scaled"),
    [("cosine", "v", False), ("cosine", "edm", True), ("ve", "v", True), ("edm", "eps", True), ("flow", "flow", False)],
)
def test_the_input_is_scaled_where_noise_outgrows_it(schedule: str, prediction: str, scaled: bool) -> None:
    assert DiffusionConfig(schedule=schedule, prediction=prediction).scales_input == scaled  # type: ignore[arg-type]
