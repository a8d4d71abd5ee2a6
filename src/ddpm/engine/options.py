"""Resolve the options of a request to sampling settings; options without effect are refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, get_args

from ddpm.config.options import changed, under
from ddpm.config.sampling import SamplingConfig
from ddpm.engine import autoguidance
from ddpm.engine.labels import Label
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects
from ddpm.system.errors import InputError
from ddpm.system.names import GridName
from ddpm.system.ranges import nearest_multiple


@dataclass(frozen=True)
class Asked:
    """A resolved request for images.

    Attributes:
        run: the run, with everything loaded to sample them.
        how: the sampling settings.
        subjects: the label and the prompt of each image.
    """

    run: LoadedRun
    how: SamplingConfig
    subjects: Subjects


def settings(run: LoadedRun, changes: dict[str, Any]) -> SamplingConfig:
    """Apply changes to the run's sampling settings; None changes nothing.

    The result includes the guidance and the grid that were found for its weights, unless a guidance option, the solver
    or the grid is changed.

    Raises:
        InputError: an unknown name, an invalid value, or a condition that the run does not have.
    """
    changes = _learned(run, {name: value for name, value in changes.items() if value is not None})
    guides = bool(changes.keys() & {*under(SamplingConfig, "guidance")})
    own = run.config.sampling if guides else run.sampling
    if isinstance(changes.get("guide_with"), str | Path):
        changes = changes | {"guide_with": autoguidance.guide(changes["guide_with"], run.source, run.weights)}
    if changes.get("negative") is not None:
        changes = changes | {"negative": run.classes[run.vocabulary.number(changes["negative"])]}
    if changes.get("negative_prompt") is not None:
        run.prompts.check(changes["negative_prompt"])
    listed = changes.get("grid", own.grid) not in get_args(GridName)
    how = changed(own, changes, without=("steps",) if listed else ())  # a list of timesteps fixes the number of steps
    if len(run.config.paths) > 1 and how.steps not in map(len, run.config.paths):
        _refuse_unlearned(run, "steps", how.steps)
    if how.classifier is not None and how.classifier.weights is None:
        weights = run.own_classifier().weights
        how = how.model_copy(update={"classifier": how.classifier.model_copy(update={"weights": weights})})
    for kind, (name, value) in how.given.items():
        if kind not in run.engine.model.conditioners:
            raise InputError(
                "conflict", f"{name} {value} has no effect, as {run.source} is not conditioned on {kind}; leave it out"
            )
    if how.clips and not run.config.codec.in_pixels:
        raise InputError(
            "conflict",
            f"clip and threshold apply to pixels, but {run.source} samples latents, which have no fixed range; leave "
            "them out",
        )
    how = _sized(run, how)
    chosen = changes.keys() & {"grid", *under(SamplingConfig, "solver")}
    return how if chosen else _tuned(run, how, changes.get("steps"))


def asked(
    run: LoadedRun,
    changes: Mapping[str, Any],
    label: Label | Sequence[Label] | None,
    n: int,
    prompt: str | Sequence[str] | None = None,
) -> Asked:
    """Resolve the settings, labels and prompts of n images, and load what the run needs for them.

    Raises:
        InputError: settings, labels or prompts are invalid, missing or have no effect.
    """
    given = dict(changes)
    how = settings(run, given)
    run = run.prepared(how)
    subjects = run.subjects(label, prompt, n)
    refuse_null(run, how, subjects)
    refuse_idle(run, given, how, subjects)
    if how.guidance is not None:
        names = {run.classes[k] for k in subjects.labels or ()}
        for name, away, own in (
            ("negative", how.guidance.negative, names),
            ("negative_prompt", how.guidance.negative_prompt, set(subjects.prompts or ())),
        ):
            what = "label" if name == "negative" else "prompt"
            if own == {away}:
                raise InputError("conflict", f"{name} {away!r} is also the {what}; use a different one for one of them")
    return Asked(run, how, subjects)


def refuse_null(run: LoadedRun, how: SamplingConfig, subjects: Subjects) -> None:
    """Refuse to sample with a null label or a null prompt, or to guide away from it, if it was never trained.

    Raises:
        InputError: a label, a prompt or a negative one is missing.
    """
    prompted = bool(subjects.prompts) and all(prompt.strip() for prompt in subjects.prompts or ())
    guidance = None if how.guidance is None or how.guidance.guide is not None or run.learned_guidance else how.guidance
    for needed, what, given, advice, negative in (
        (run.needs_label, "label", subjects.labels is not None, run.vocabulary.advice, "negative"),
        (run.needs_prompt, "prompt", prompted, run.prompts.advice, "negative_prompt"),
    ):
        if needed and not given:
            raise InputError("missing", f"{run.source} was never trained without a {what}, so it needs one; {advice}")
        if needed and guidance is not None and not (getattr(guidance, negative) or "").strip():
            raise InputError(
                "conflict",
                f"guidance {guidance.scale:g} leads away from images without a {what}, but {run.source} was never "
                f"trained without one; add {negative}, or use guidance 1",
            )


def refuse_idle(run: LoadedRun, changes: dict[str, Any], how: SamplingConfig, subjects: Subjects) -> None:
    """Refuse options that have no effect.

    Args:
        changes: the options.
        how: the settings with these applied.
        subjects: the labels and the prompts of the images.

    Raises:
        InputError: guidance without conditions, or with labels that the network was not trained on.
    """
    labelled, prompted = subjects.labels is not None, any(prompt.strip() for prompt in subjects.prompts or ())
    away = None if how.guidance is None else how.guidance.negative_prompt
    if changes.get("guidance_label") is not None and not (labelled and prompted and run.learned_labels):
        raise InputError("conflict", "guidance_label requires both a label and a prompt; use guidance for one of them")
    if how.classifier is not None and not labelled:
        raise InputError("conflict", f"classifier guidance requires a label; {run.vocabulary.advice}")
    if how.classifier is None and labelled and not run.learned_labels:
        raise InputError(
            "conflict", f"{run.source} was trained without labels; use --classifier to guide with its classifier"
        )
    if how.guidance is None or how.guidance.guide is not None or prompted or (labelled and run.learned_labels):
        return
    if subjects.prompts is not None and away is not None and away.strip():  # guides from there to the null prompt
        return
    if how.given and how.guidance.negative is None and how.guidance.negative_prompt is None:
        return
    for name in under(SamplingConfig, "guidance"):
        if changes.get(name) is not None:
            why = f"{run.source} was trained without labels" if labelled else run.advice
            needs = "a label that the run was trained on" if run.text is None else "a prompt"
            raise InputError("conflict", f"{name} {changes[name]} requires {needs}; {why}")


def _learned(run: LoadedRun, changes: dict[str, Any]) -> dict[str, Any]:
    """The changes, with a student's timesteps for its number of steps.

    Raises:
        InputError: the student has not learned this number of steps, or further guidance.
    """
    paths, steps = {len(path): path for path in run.config.paths}, changes.get("steps")
    if not paths:
        return changes
    taught = run.config.distillation
    low, high = (1.0, 1.0) if taught is None or taught.guidance is None else taught.guidance
    for name in under(SamplingConfig, "guidance"):
        value = changes.get(name)
        if value is not None and not (name == "guidance" and low <= value <= high):
            _refuse_unlearned(run, name, value)
    if steps is None or changes.get("grid") is not None:
        return changes
    if steps not in paths:
        _refuse_unlearned(run, "steps", steps)
    return changes | {"grid": paths[steps]}


def _refuse_unlearned(run: LoadedRun, name: str, value: Any) -> NoReturn:
    """Refuse what a student has not learned.

    Raises:
        InputError: always.
    """
    taught, numbers = run.config.distillation, [*map(len, run.config.paths)]
    assert taught is not None
    other = f"drop {name} {value}"
    if name == "guidance" and taught.guidance is not None:
        other = "use guidance between {:g} and {:g}".format(*taught.guidance)
    if name == "steps" and len(numbers) > 1:
        other = f"steps {value} is none of {', '.join(map(str, numbers))}; use one of them"
    raise InputError("conflict", f"{run.source} is a {run.config.student}; {other}, or sample {taught.teacher} instead")


def _sized(run: LoadedRun, how: SamplingConfig) -> SamplingConfig:
    """Drop a size that is the run's own; refuse one that cannot be drawn."""
    if how.area is None or how.area.size == run.config.data.size:
        return how.model_copy(update={"area": None})
    if how.classifier is not None:
        raise InputError(
            "conflict",
            "classifier guidance requires images of the run's own size; leave out size or classifier",
        )
    (height, width), own, divisor = how.area.size, run.config.data.size, run.config.divisor
    if how.area.whole:
        if height % divisor or width % divisor:
            nearest = "x".join(str(nearest_multiple(n, divisor)) for n in how.area.size)
            raise InputError(
                "invalid",
                f"size {height}x{width} is not divisible by {divisor}, as the network requires; use {nearest}",
            )
    elif height % run.config.codec.factor or width % run.config.codec.factor:
        factor = run.config.codec.factor
        nearest = "x".join(str(nearest_multiple(n, factor)) for n in how.area.size)
        raise InputError(
            "invalid",
            f"size {height}x{width} is not divisible by {factor}, as the autoencoder of {run.source} requires; use "
            f"{nearest}",
        )
    elif height < own[0] or width < own[1]:
        raise InputError(
            "invalid",
            f"size {height}x{width} is smaller than a window of the training size, {own[0]}x{own[1]}; use a larger "
            "size, or add --whole to generate the image at once",
        )
    return how


def _tuned(run: LoadedRun, how: SamplingConfig, steps: int | None) -> SamplingConfig:
    """Return the settings tuned for this many steps, by default the largest, if all but precision matches; else how."""
    own = {"solver", "grid", "steps", "precision"}
    alike = [found for found in run.tuned if found.model_dump(exclude=own) == how.model_dump(exclude=own)]
    fits = [found for found in alike if steps in (None, found.steps)]
    best = max(fits, key=lambda found: found.steps, default=how)
    return best.model_copy(update={"precision": how.precision})
