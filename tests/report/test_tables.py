from pathlib import Path

from ddpm.report import tables
from ddpm.report.evaluations import Evaluation

from .scores import make_score

GUIDE = {"checkpoint": "step-000000008", "weights": "abc"}


def test_a_way_of_sampling_in_words() -> None:
    how = {
        "guidance": 2.5,
        "guidance_interval": (0.25, 5.0),
        "guidance_parallel": 0.0,
        "guide_with": GUIDE,
        "threshold": 0.9,
    }
    words = tables.sampling(Evaluation(Path("x"), make_score("w", **how), 0))
    assert words.startswith("unipc-2, 10 steps, power grid, guidance 2.5, guide with step-000000008, ")
    assert words.endswith("guidance interval 0.25 to 5, guidance parallel 0, threshold 0.9")
