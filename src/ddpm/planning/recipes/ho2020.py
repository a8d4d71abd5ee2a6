"""Denoising Diffusion Probabilistic Models on CIFAR-10, as published."""

from ddpm.planning.recipes.recipe import Rung


def ho2020(size: tuple[int, int], labelled: bool, network: str = "unet") -> list[Rung]:
    """Ho et al. 2020, appendix B: 35.7 M parameters, 1000 linear levels, eps, batch 128, 800,000 steps.

    Made for 32 × 32; any size divisible by 8 works. The paper samples with 1000 ancestral steps:
    ``--solver ancestral --grid uniform --steps 1000``. Section 3.2 finds both fixed variances alike;
    the released code uses the large one for CIFAR-10 (``fixedlarge``), for samples and for the bound.
    """
    return [
        Rung(
            0,
            {
                "diffusion": {"schedule": "linear", "T": 1000, "prediction": "eps", "variance": "large"},
                "network": {
                    "width": 128,
                    "multipliers": (1, 2, 2, 2),
                    "blocks": 2,
                    "attention": (2,),
                    "dropout": 0.1,
                },
                "training": {
                    "images": 800_000 * 128,
                    "batch": 128,
                    "learning_rate": 2e-4,
                    "warmup": 5000 * 128,
                    "decay": 0.0,
                    "betas": (0.9, 0.999),
                    "ema": 0.9999,
                    "flip": True,
                },
            },
        )
    ]
