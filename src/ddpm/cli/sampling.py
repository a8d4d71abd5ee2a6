"""The flags of the commands that draw samples."""

from dataclasses import dataclass, fields
from typing import Any, Literal

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True)
class Sampling:
    """How samples are drawn: keys of ``SamplingConfig``, the run's own choice where not given.

    Parameters
    ----------
    solver
        Of one network call a step: ddim, euler, euler-ancestral, ancestral, ancestral-small, ancestral-large,
        dpm-solver-1, dpm++-1s, dpm++-2m, dpm++-3m, sde-dpm++-2m, sde-dpm++-3m, unipc-1, unipc-2, unipc-3, unipc-1-bh1,
        unipc-2-bh1, unipc-3-bh1, deis-1, deis-2, deis-3, ipndm-1, ipndm-2, ipndm-3, ipndm-4. Of two: heun, edm,
        langevin, dpm-solver-2, dpm++-2s. Of three: dpm-solver-3. Of as many as it needs: adaptive. Like what follows
        the run's own where not given.
    grid
        uniform (linspace), leading, trailing, quadratic, log-snr (exponential), karras or beta; or the levels to visit,
        noisiest first, as in 1000,700,400,100, and then clean.
    eta
        Of ddim and euler-ancestral: share of fresh noise, 0 to 1.
    churn
        Of edm: noise added on the way; 0 for none.
    tolerance
        Of adaptive: the error allowed in each of its steps. Images depend, within it, on those drawn with them.
    temperature
        Of solvers that draw fresh noise: its scale; below 1 smoother and less various.
    guidance
        Scale of guidance, classifier-free unless --guide-with; 1 for none.
    negative
        Guide away from this class, by name or number, rather than from no class in particular.
    guide_with
        Guide away from this earlier checkpoint of the run, step-…, rather than from a label; without labels, too.
    classifier
        Scale of guidance by the run's classifier of noised images, which `ddpm train-classifier` trains; with --label.
    classifier_form
        score (for every solver) or mean (of an ancestral solver's step); score by default.
    guidance_interval
        Guidance only between two ratios of noise to signal, EDM's sigma, as in 0.2 5.
    guidance_rescale
        Bring guided images back to the contrast they have without guidance, as in 0.7; 1 wholly.
    guidance_parallel
        How much to keep of guidance along the expected image, which saturates colours; 0 for projected guidance.
    guidance_norm
        Shorten guidance, the difference of two expected images, to this Euclidean norm.
    clip
        Keep the expected image in the range of images.
    threshold
        Clip by dynamic thresholding, at this quantile of each image, as in 0.995; for high guidance.
    precision
        Of the network: fp32, or bf16 (fp16), which is faster where the device computes it natively.
    """

    solver: str | None = None
    grid: str | None = None
    eta: float | None = None
    churn: float | None = None
    tolerance: float | None = None
    temperature: float | None = None
    guidance: float | None = None
    negative: str | None = None
    guide_with: str | None = None
    classifier: float | None = None
    classifier_form: str | None = None
    guidance_interval: tuple[float, float] | None = None
    guidance_rescale: float | None = None
    guidance_parallel: float | None = None
    guidance_norm: float | None = None
    clip: bool | None = None
    threshold: float | None = None
    precision: Literal["fp32", "bf16", "fp16"] | None = None

    def given(self) -> dict[str, Any]:
        """The settings that were asked for."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


UNCHANGED = Sampling()
"""All as the run has it."""
