"""The settings of an autoencoder, as later commands read them."""

from typing import Any

from cases import cases
from ddpm.config.autoencoder import AutoencoderConfig, AutoencoderSettings
from ddpm.config.data import DataConfig
from ddpm.config.training import TrainSettings


@cases(
    ("given", "expected"),
    [
        ({"for": "1h"}, "ddpm train photos --codec runs/ae"),
        ({"size": "64x48", "mode": "L"}, "ddpm train photos --size 64x48 --mode L --codec runs/ae"),
        (
            {"skip_bad": True, "split": "a b", "max_pixels": "400M"},
            "ddpm train photos --skip-bad --split 'a b' --max-pixels 400M --codec runs/ae",
        ),
    ],
)
def test_the_next_command_reads_images_as_it_did(given: dict[str, Any], expected: str) -> None:
    config = AutoencoderConfig(
        request=given,
        data=DataConfig(source="photos", fingerprint="", images=9, held_out=0, size=(64, 48), mode="L"),
        network=AutoencoderSettings(image_channels=1),
        training=TrainSettings(images=1, label_dropout=0.0),
    )
    assert config.follow_up("runs/ae") == expected
