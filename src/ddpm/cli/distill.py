"""``ddpm distill``."""

import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ddpm.system.names import DistillationName, OptimizerName, PrecisionName


def distill(
    run: Path,
    *,
    out: Path,
    method: DistillationName | None = None,
    steps: str | None = None,
    guidance: str | None = None,
    guidance_interval: tuple[float, float] | None = None,
    teacher_steps: int | None = None,
    for_: Annotated[str | None, Parameter(name="--for")] = None,
    images: str | None = None,
    during_training: bool | None = None,
    tuning: float | None = None,
    batch: int | None = None,
    optimizer: OptimizerName | None = None,
    lr: float | None = None,
    seed: int | None = None,
    precision: PrecisionName | None = None,
    device: Literal["cpu"] | None = None,
    tensorboard: bool = False,
    dry_run: bool = False,
) -> None:
    """Distil a run into a student that samples in few steps, guidance included. Re-run the same command to resume.

    The student is a run of its own: `ddpm sample OUT` draws from it with one network call a step.

    Args:
        run: The teacher: a run folder, or one checkpoint in it.
        out: The run folder of the student.
        method: trajectory (default): learn the teacher's trajectory. progressive: halve the steps in stages, each a run
            in OUT/stages. consistency: map every point of a trajectory to its end, for one or two steps. The last two
            require a run that does not predict eps.
        steps: Steps of the student; 4 by default, 1,2 with --method consistency. What `ddpm tune` found for this
            number is used. Several, as in 2-5 or 1,2,4, make one student for all of them.
        guidance: Guidance scale that the student learns; the run's own by default, 1 for none. A range, as in 1-5,
            makes a student that takes any scale in it.
        guidance_interval: Guide only between two noise-to-signal ratios, such as 0 2. With --guidance, the default is
            the run's setting before tuning, usually all ratios.
        teacher_steps: Steps of the teacher; 3 for each of the student's by default, at least 12. With --method
            progressive: the student's, doubled one or more times; to at least 32 by default.
        for_: The time to train for: 90s, 20m, 1h30m; 10m by default. The speed is measured first, and the time
            converted to a number of images.
        images: The number of images to draw in training, with the labels of the run's data: 50k, 2M.
        during_training: Score the student on a few samples during training, and keep the best checkpoint.
        tuning: With --method consistency, the fraction of the training to spend on consistency tuning, 0 to 1; 0 by
            default.
        batch: Images per optimiser step, over all processes; 32 by default.
        optimizer: muon (default) or adamw.
        lr: Peak learning rate; 0.003 by default, 0.0015 with adamw.
        seed: The random seed; 0 by default.
        precision: Precision of the networks; the best that the device supports natively by default.
        device: cpu, to train without the GPU; the best available by default.
        tensorboard: Also write TensorBoard logs.
        dry_run: Print the plan and the measured time and memory, and stop.
    """
    began = time.monotonic()
    from ddpm.cli.training import exits
    from ddpm.evaluation.during import few_samples
    from ddpm.planning.distillation import Distilling
    from ddpm.planning.training import Command
    from ddpm.system.allocator import keep_freed_memory

    keep_freed_memory()
    flags: dict[str, object] = {"method": method, "steps": steps, "teacher_steps": teacher_steps}
    flags |= {"guidance": guidance, "guidance_interval": guidance_interval}
    flags |= {"for": for_, "images": images, "during_training": during_training, "tuning": tuning}
    flags |= {"batch": batch, "optimizer": optimizer, "lr": lr, "seed": seed, "precision": precision}
    given = {flag: value for flag, value in flags.items() if value is not None}
    command = Command(out, few_samples, device=device, tensorboard=tensorboard, dry_run=dry_run)
    with exits():
        Distilling(run, given, command, began=began).run()
