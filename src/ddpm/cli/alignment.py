"""``ddpm alignment``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ddpm.cli import scores
from ddpm.cli.output import logged_bar, say

if TYPE_CHECKING:
    from ddpm.metrics.estimate import Estimate
    from ddpm.records.alignment import AlignmentRecord


def alignment(
    run: Path,
    *,
    data: str | None = None,
    n: Annotated[int | None, Parameter(name=["-n", "--n"])] = None,
    samples: int = 100,
    clip: str | None = None,
    seed: int = 0,
    device: str | None = None,
) -> None:
    """Measure how well a run follows captions: by its loss with right and wrong ones, and by finding those of samples.

    Args:
        run: A run folder trained on captions, or one checkpoint in it.
        data: Images with captions; the run's held-out images by default.
        n: The maximum number of captioned images for the losses; 256 by default.
        samples: The number of samples to find the captions of, each among 10; 0 for none.
        clip: The folder of a CLIP model in the format of transformers, for scoring samples with their captions.
        seed: The random seed.
        device: cpu, cuda or mps; the best available by default.
    """
    from ddpm.evaluation.alignment import measure_alignment
    from ddpm.evaluation.options import EvaluationOptions
    from ddpm.records.run_folder import RunFolder
    from ddpm.system.files import write_file

    with logged_bar("") as progress:
        record, sheet = measure_alignment(run, EvaluationOptions(data, n, seed, device=device), progress, samples, clip)
    say(*_lines(record))
    folder = RunFolder.open(run)
    if sheet is not None:
        write_file(folder.alignment_sheet, sheet)
        say(f"samples       {folder.alignment_sheet}")
    record.write(folder.alignment_file)
    say(f"record        {folder.alignment_file}")
    scores.report(run)


def _lines(record: "AlignmentRecord") -> Iterator[str]:
    """A record for the terminal."""
    of = "held-out images" if record.held_out else "images"
    classes = ", conditioned on their classes, too" if record.labels else ""
    yield f"captions      of {record.n:,} {of} of {record.reference.source}{classes}"
    yield f"{'timesteps':>12}  {'loss':>7}  {'without captions':>26}  {'with captions of others':>26}"
    for level in record.levels:
        rises = ["" if rise is None else _interval(rise, 2, "+", " %", 100) for rise in (level.null, level.shuffled)]
        yield f"{level.first:>5} to {level.last:<4}  {level.right:7.4f}  {rises[0]:>26}  {rises[1]:>26}"
    if (found := record.retrieval) is not None:
        shares = [
            f"{_interval(share, 0, '', ' %', 100)} of {n} {what}"
            for share, n, what in ((found.drawn, found.samples, "samples"), (found.real, found.images, "images"))
        ]
        yield f"found         among {found.among} captions: {', '.join(shares)}"
    if (score := record.clip) is not None:
        yield f"CLIP score    samples {_interval(score.drawn, 2)}, images {_interval(score.real, 2)}"


def _interval(found: "Estimate", places: int, sign: str = "", unit: str = "", times: float = 1) -> str:
    """A value and its interval."""
    value, low, high = (f"{times * x:{sign}.{places}f}" for x in (found.value, found.low, found.high))
    return f"{value}{unit} ({low} to {high})"
