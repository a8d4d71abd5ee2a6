"""New images."""

from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from ddpm.engine.indices import chosen
from ddpm.engine.labels import Label
from ddpm.engine.options import asked
from ddpm.engine.run import LoadedRun
from ddpm.engine.trajectory import Recorder, Trajectory
from ddpm.images.sheets import picture
from ddpm.records.provenance import Provenance
from ddpm.sampling.follow import Moment
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, silent


def sample(
    run: LoadedRun,
    n: int = 1,
    *,
    label: Label | Sequence[Label] | None = None,
    seed: int = 0,
    indices: Sequence[int] | None = None,
    batch: int = 64,
    progress: Progress = silent,
    watch: Callable[[Moment], None] | None = None,
    **settings: Any,
) -> list[Image.Image]:
    """New images, the same for the same arguments whatever the batch.

    Args:
        n: the number of images.
        label: a class by name or index for all, or one for each image; None takes the null label.
        seed: image i is a function of (seed, i).
        indices: which images of the seed's set; 0 … n - 1 if None.
        batch: images in memory at a time.
        progress: called with (network steps done, in all).
        watch: called with each moment of each batch, before its steps and after the last.
        settings: the keys of :class:`SamplingConfig`: ``solver``, ``steps``, ``guidance`` …; the run's own where not
            given.

    Returns:
        n PIL images of the run's mode, each with its :class:`Provenance` in ``image.info``.

    Raises:
        InputError: an unknown label or setting, or a value that is not allowed.
    """
    if n < 1:
        raise InputError("invalid", f"n must be at least 1, not {n}")
    run.refuse_given()
    wanted = chosen(indices, n)
    a = asked(run, settings, label, n)
    drawn = a.run.draws(a.how, a.labels, seed, wanted, batch=batch, progress=progress, watch=watch)
    return [
        a.run.record(a.how, a.run.classes[a.labels[k]] if a.labels else None, seed, index).attach(picture(pixels))
        for k, (index, pixels) in enumerate(zip(wanted, drawn, strict=True))
    ]


def trajectory(run: LoadedRun, n: int = 1, *, stages: int = 40, **arguments: Any) -> Trajectory:
    """The images that :func:`sample` gives for the same arguments, and how they come to be, by no further calls.

    Args:
        stages: at most, evenly spread over the steps, the noise and the images among them.
        arguments: whatever :func:`sample` takes.

    Raises:
        InputError: as :func:`sample`, or fewer than two stages.
    """
    if stages < 2:
        raise InputError("invalid", f"stages must be at least 2, the noise and the image, not {stages}")
    recorder = Recorder(run.engine.codec.decode, stages)
    images = sample(run, n, watch=recorder, **arguments)
    return Trajectory(images, recorder.stages(run.engine.schedule))


def again(run: LoadedRun, record: Provenance) -> Image.Image:
    """The image of a record, which this run's weights have made.

    Raises:
        InputError: its label is not one of the run's, or it was made from other pictures, which it does not hold.
    """
    if record.work is not None:
        raise InputError(
            "invalid",
            f"this picture was made from other pictures; repeat its command on them: {record.command()}",
        )
    run.refuse_given()
    run = run.prepared(record.sampling)
    labels = run.labels(record.label, 1)
    pixels = run.draw(record.sampling, labels, record.seed, [record.index])[0]
    return run.record(record.sampling, record.label, record.seed, record.index).attach(picture(pixels))
