"""Guidance towards a label or a prompt."""

from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from ddpm.config.options import Flag
from ddpm.system.names import ClassifierFormName
from ddpm.system.record import Strict, bounds


class Guide(Strict):
    """A less trained version of the same run, for autoguidance.

    Attributes:
        checkpoint: The name of a checkpoint, "step-…", or of an average that training saved, "averages/step-…".
        weights: The hash of its averaged weights.
    """

    checkpoint: str
    weights: str

    def __str__(self) -> str:
        return self.checkpoint


def _rising(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    if interval is not None and not 0 <= interval[0] < interval[1] < float("inf"):
        low, high = interval
        raise ValueError(f"must be two noise-to-signal ratios, the lower one first, not {low} {high}")
    return interval


IntervalSetting = Annotated[
    tuple[float, float] | None,
    AfterValidator(_rising),
    Flag("Guide only between two noise-to-signal ratios, EDM's sigma, such as 0.2 5.", name="guidance_interval"),
]


class GuidanceConfig(Strict):
    """Classifier-free guidance, or autoguidance.

    Attributes:
        scale: The guidance scale: 1 for none, above 1 to extrapolate, 0 for the prediction guided away from.
        away_from: A class or an earlier version of the run to guide away from; None for the null label.
        negative_prompt: The prompt to guide away from; None for the null prompt.
        label_scale: The guidance scale of the label of an image that also has a prompt, of which ``scale`` is then that
            of the prompt; None for ``scale``.
        interval: The noise-to-signal ratios, EDM's sigma, between which to guide; None for all.
        rescale: The weight of rescaling guided images to the contrast without guidance.
        parallel: The proportion to keep of guidance along the expected image, 0 in projected guidance; None for all.
        norm: The largest Euclidean norm of the guidance difference; None for no limit.
    """

    scale: Annotated[float, bounds(0)]
    away_from: Annotated[
        str | Guide | None,
        Flag(
            "Guide away from this class, by name or number, instead of the null label.",
            name="negative",
            kind=str,
            holds=str,
        ),
        Flag(
            "Guide away from an earlier version of the run instead of a label: early, the average after an eighth of "
            "training; or a checkpoint, step-…. Works without labels.",
            name="guide_with",
            kind=str,
            holds=Guide,
        ),
    ] = None
    negative_prompt: Annotated[str | None, Flag("Guide away from this prompt instead of the null prompt.")] = None
    label_scale: Annotated[
        float | None,
        bounds(0),
        Flag(
            "Guidance scale of the label if there is a prompt as well; --guidance scales both by default.",
            name="guidance_label",
        ),
    ] = None
    interval: IntervalSetting = None
    rescale: Annotated[
        float | None,
        bounds(0, 1, above=True),
        Flag(
            "Rescale guided images towards the contrast without guidance, such as 0.7; 1 rescales fully.",
            name="guidance_rescale",
        ),
    ] = None
    parallel: Annotated[
        float | None,
        bounds(0, 1, below=True),
        Flag(
            "Fraction of guidance to keep along the predicted image, which saturates colours; 0 projects it out.",
            name="guidance_parallel",
        ),
    ] = None
    norm: Annotated[
        float | None,
        bounds(0, above=True),
        Flag("Limit the guidance difference of each image to this Euclidean norm.", name="guidance_norm"),
    ] = None

    @property
    def guide(self) -> Guide | None:
        """The earlier version to guide away from, if any."""
        return self.away_from if isinstance(self.away_from, Guide) else None

    @property
    def negative(self) -> str | None:
        """The class to guide away from, if any."""
        return self.away_from if isinstance(self.away_from, str) else None

    @property
    def kind(self) -> str:
        """The label's scale, what to guide away from, and at which noise, if not the usual: "r below 5".

        r is sigma / alpha.
        """
        away = [] if self.away_from is None else [str(self.away_from)]
        away += [] if self.negative_prompt is None else [f'"{self.negative_prompt}"']
        parts = [] if self.label_scale is None else [f"label {self.label_scale:g}"]
        parts += [f"away from {' and '.join(away)}"] if away else []
        if self.interval is not None:
            low, high = self.interval
            parts.append(f"r from {low:g} to {high:g}" if low else f"r below {high:g}")
        return ", ".join(parts)

    @property
    def words(self) -> str:
        """Guidance in a few words: "3.4, r below 5"."""
        return ", ".join(part for part in (f"{self.scale:g}", self.kind) if part)

    @model_validator(mode="after")
    def _guides(self) -> Self:
        idle = [name for name in type(self).model_fields if name != "scale" and getattr(self, name) is not None]
        if self.scale == 1 and idle:
            raise ValueError(f"{idle[0]} has no effect at scale 1, which means no guidance; use another scale")
        for name, value in (("negative_prompt", self.negative_prompt), ("guidance_label", self.label_scale)):
            if self.guide is not None and value is not None:
                raise ValueError(f"{name} has no effect with guide_with; use only one of them")
        return self


class ClassifierGuidanceConfig(Strict):
    """Guidance by the run's classifier of noised images.

    Attributes:
        scale: The scale of its gradient.
        form: Whether to shift the score, with every solver, or the mean of an ancestral step.
        interval: As in :class:`GuidanceConfig`.
        weights: The hash of the classifier's weights.
    """

    scale: Annotated[float, bounds(0, above=True)]
    form: Annotated[
        ClassifierFormName,
        Flag(
            "score (default) shifts the score, for any solver; mean shifts the mean of each ancestral step.",
            name="classifier_form",
            kind=str,
        ),
    ] = "score"
    interval: IntervalSetting = None
    weights: str | None = None
