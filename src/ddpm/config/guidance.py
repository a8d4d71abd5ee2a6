"""How samples are led towards what is asked for."""

from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from ddpm.config.options import Flag
from ddpm.system.names import ClassifierFormName
from ddpm.system.record import Strict, bounds


class Guide(Strict):
    """A checkpoint of the same run, for autoguidance.

    Attributes:
        checkpoint: its name, "step-…".
        weights: hash of its averaged weights.
    """

    checkpoint: str
    weights: str

    def __str__(self) -> str:
        return self.checkpoint


def _rising(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    if interval is not None and not 0 <= interval[0] < interval[1] < float("inf"):
        low, high = interval
        raise ValueError(f"must be two ratios of noise to signal, low first, not {low} {high}")
    return interval


IntervalSetting = Annotated[
    tuple[float, float] | None,
    AfterValidator(_rising),
    Flag("Guidance only between two ratios of noise to signal, EDM's sigma, as in 0.2 5.", name="guidance_interval"),
]


class GuidanceConfig(Strict):
    """Classifier-free guidance, or autoguidance.

    Attributes:
        scale: 0 for what it leads away from, 1 for none, above 1 to go further.
        away_from: a class, or a weaker checkpoint; None for no class in particular.
        interval: only where the noise-to-signal ratio, EDM's sigma, lies within; None for everywhere.
        rescale: share of the guided image that is brought back to its contrast without guidance.
        parallel: how much is kept of guidance along the expected image, 0 in projected guidance; None for all.
        norm: bound of the Euclidean norm of the difference that guidance follows; None for none.
    """

    scale: Annotated[float, bounds(0)]
    away_from: Annotated[
        str | Guide | None,
        Flag(
            "Guide away from this class, by name or number, rather than from no class in particular.",
            name="negative",
            kind=str,
            holds=str,
        ),
        Flag(
            "Guide away from this earlier checkpoint of the run, step-…, rather than from a label; without labels, "
            "too.",
            name="guide_with",
            kind=str,
            holds=Guide,
        ),
    ] = None
    interval: IntervalSetting = None
    rescale: Annotated[
        float | None,
        bounds(0, 1, above=True),
        Flag(
            "Bring guided images back to the contrast they have without guidance, as in 0.7; 1 wholly.",
            name="guidance_rescale",
        ),
    ] = None
    parallel: Annotated[
        float | None,
        bounds(0, 1, below=True),
        Flag(
            "How much to keep of guidance along the expected image, which saturates colours; 0 for projected guidance.",
            name="guidance_parallel",
        ),
    ] = None
    norm: Annotated[
        float | None,
        bounds(0, above=True),
        Flag("Shorten guidance, the difference of two expected images, to this Euclidean norm.", name="guidance_norm"),
    ] = None

    @property
    def guide(self) -> Guide | None:
        """The weaker checkpoint, if it leads away from one."""
        return self.away_from if isinstance(self.away_from, Guide) else None

    @property
    def negative(self) -> str | None:
        """The class, if it leads away from one in particular."""
        return self.away_from if isinstance(self.away_from, str) else None

    @model_validator(mode="after")
    def _guides(self) -> Self:
        idle = [name for name in type(self).model_fields if name != "scale" and getattr(self, name) is not None]
        if self.scale == 1 and idle:
            raise ValueError(f"{idle[0]} has no effect at scale 1, which is no guidance")
        return self


class ClassifierGuidanceConfig(Strict):
    """Guidance by the run's classifier of noised images.

    Attributes:
        scale: of its gradient.
        form: of the score, with every solver, or of the mean of an ancestral step.
        interval: as of other guidance.
        weights: hash of the classifier's weights.
    """

    scale: Annotated[float, bounds(0, above=True)]
    form: Annotated[
        ClassifierFormName,
        Flag(
            "score (for every solver) or mean (of an ancestral solver's step); score by default.",
            name="classifier_form",
            kind=str,
        ),
    ] = "score"
    interval: IntervalSetting = None
    weights: str | None = None
