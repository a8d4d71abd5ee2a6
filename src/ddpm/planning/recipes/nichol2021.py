"""Improved Denoising Diffusion Probabilistic Models on CIFAR-10, as published."""

from ddpm.planning.recipes.recipe import Rung

LEVELS = 4000


def nichol2021(size: tuple[int, int], labelled: bool, network: str = "unet") -> list[Rung]:
    """Nichol & Dhariwal 2021, appendix A: L_hybrid, a learned variance, 4000 cosine levels, 500,000 steps.

    Made for 32 × 32; any size divisible by 8 works. The paper samples with all 4000 ancestral steps, or with the 50 to
    100 that a learned variance allows (sec. 4): ``--solver ancestral --grid uniform --steps 100``.

    The network is given t = 0 … 999.75, as in the released code (``rescale_timesteps``); with another ``diffusion.T``,
    also set ``diffusion.time_scale`` to 1000 / T.
    """
    return [
        Rung(
            0,
            {
                "diffusion": {
                    "schedule": "cosine",
                    "T": LEVELS,
                    "time_scale": 1000 / LEVELS,
                    "prediction": "eps",
                    "variance": "learned",
                },
                "objective": {"loss": "hybrid"},
                "network": {
                    "width": 128,
                    "multipliers": (1, 2, 2, 2),
                    "blocks": 3,
                    "attention": (2, 4),
                    "head_width": 64,
                    "scale_shift": True,
                    "dropout": 0.3,
                },
                "training": {
                    "images": 500_000 * 128,
                    "batch": 128,
                    "learning_rate": 1e-4,
                    "warmup": 0,
                    "decay": 0.0,
                    "betas": (0.9, 0.999),
                    "ema": 0.9999,
                },
            },
        )
    ]
