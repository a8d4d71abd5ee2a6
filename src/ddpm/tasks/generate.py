"""Sample new images."""

from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from ddpm.engine.indices import chosen
from ddpm.engine.labels import Label
from ddpm.engine.options import Asked, asked
from ddpm.engine.run import LoadedRun
from ddpm.engine.trajectory import Recorder, Trajectory
from ddpm.images.sheets import picture
from ddpm.records.provenance import Provenance
from ddpm.sampling.follow import Moment
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, silent


def requested(
    run: LoadedRun,
    n: int,
    *,
    label: Label | Sequence[Label] | None = None,
    prompt: str | Sequence[str] | None = None,
    **settings: Any,
) -> Asked:
    """Check a request for new images without sampling them; see :func:`sample`.

    Raises:
        InputError: an unknown label or setting, or an invalid value.
    """
    if n < 1:
        raise InputError("invalid", f"n is {n}; use at least 1")
    run.refuse_super_resolution()
    found = asked(run, settings, label, n, prompt)
    if settings.get("whole") and found.how.area is None:
        raise InputError("conflict", "whole has no effect on images of the run's own size; leave it out")
    return found


def sample(
    run: LoadedRun,
    n: int = 1,
    *,
    label: Label | Sequence[Label] | None = None,
    prompt: str | Sequence[str] | None = None,
    seed: int = 0,
    indices: Sequence[int] | None = None,
    batch: int = 64,
    progress: Progress = silent,
    watch: Callable[[Moment], None] | None = None,
    **settings: Any,
) -> list[Image.Image]:
    """Sample new images: the same for the same arguments, whatever the batch size.

    Args:
        n: the number of images.
        label: a class by name or index for all images, or one each; None uses the null label.
        prompt: a description of all images, or one each; None for none in particular.
        seed: image i is a function of (seed, i).
        indices: the indices of the images; 0 … n - 1 if None.
        batch: images in memory at a time.
        progress: called with (network steps done, total).
        watch: called with each moment of each batch, before the first step and after every step.
        settings: the keys of :class:`SamplingConfig`: ``solver``, ``steps``, ``guidance`` …; the run's own by default.

    Returns:
        n PIL images of the run's mode, each with its :class:`Provenance` in ``image.info``.

    Raises:
        InputError: an unknown label or setting, or an invalid value.
    """
    a = requested(run, n, label=label, prompt=prompt, **settings)
    wanted = chosen(indices, n)
    drawn = a.run.draws(a.how, a.subjects, seed, wanted, batch=batch, progress=progress, watch=watch)
    return [
        a.run.record(a.how, a.subjects.rows([k]), seed, index).attach(picture(pixels))
        for k, (index, pixels) in enumerate(zip(wanted, drawn, strict=True))
    ]


def trajectory(run: LoadedRun, n: int = 1, *, stages: int = 40, **arguments: Any) -> Trajectory:
    """Sample as :func:`sample` does and record the trajectory, at no further network calls.

    Args:
        stages: the maximum number of stages, evenly spread over the steps, including the noise and the images.
        arguments: those of :func:`sample`.

    Raises:
        InputError: as :func:`sample`, or fewer than two stages.
    """
    if stages < 2:
        raise InputError("invalid", f"stages is {stages}; use at least 2, for the noise and the image")
    recorder = Recorder(run.engine.codec.decode, stages)
    images = sample(run, n, watch=recorder, **arguments)
    return Trajectory(images, recorder.stages(run.engine.schedule))


def again(run: LoadedRun, record: Provenance) -> Image.Image:
    """Reproduce the image of a record made with this run's weights.

    Raises:
        InputError: its label or prompt cannot be used with this run, or it was made from other pictures, which it does
            not contain.
    """
    if record.work is not None:
        raise InputError(
            "missing",
            f"this picture was made from other pictures; to reproduce it, run: {record.command()}",
        )
    run.refuse_super_resolution()
    run = run.prepared(record.sampling)
    subjects = run.subjects(record.label, record.prompt)
    pixels = run.draw(record.sampling, subjects, record.seed, [record.index])[0]
    return run.record(record.sampling, subjects, record.seed, record.index).attach(picture(pixels))
