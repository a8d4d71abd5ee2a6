"""``ddpm alignment``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ddpm.cli import scores
from ddpm.cli.output import logged_bar, say

if TYPE_CHECKING:
    from ddpm.records.alignment import AlignmentRecord


def alignment(
    run: Path,
    *,
    data: str | None = None,
    n: Annotated[int | None, Parameter(name=["-n", "--n"])] = None,
    samples: int = 100,
    seed: int = 0,
    device: str | None = None,
) -> None:
    """Measure how well a run follows captions: by its loss with right and wrong ones, and by finding those of samples.

    Args:
        run: A run folder trained on captions, or one checkpoint in it.
        data: Images with captions; the run's held-out images by default.
        n: The maximum number of captioned images for the losses; 256 by default.
        samples: The number of samples to find the captions of, each among 10; 0 for none.
        seed: The random seed.
        device: cpu, cuda or mps; the best available by default.
    """
    from ddpm.evaluation.alignment import measure_alignment
    from ddpm.evaluation.options import EvaluationOptions
    from ddpm.records.run_folder import RunFolder

    with logged_bar("") as progress:
        record = measure_alignment(run, EvaluationOptions(data, n, seed, device=device), progress, samples)
    say(*_lines(record))
    file = RunFolder.open(run).alignment_file
    record.write(file)
    say(f"record        {file}")
    scores.report(run)


def _lines(record: "AlignmentRecord") -> Iterator[str]:
    """A record for the terminal."""
    of = "held-out images" if record.held_out else "images"
    yield f"captions      of {record.n:,} {of} of {record.reference.source}"
    yield f"{'timesteps':>12}  {'loss':>7}  {'without captions':>26}  {'with captions of others':>26}"
    for level in record.levels:
        rises = [
            f"{100 * rise.value:+.2f} % ({100 * rise.low:+.2f} to {100 * rise.high:+.2f})"
            for rise in (level.null, level.shuffled)
        ]
        yield f"{level.first:>5} to {level.last:<4}  {level.right:7.4f}  {rises[0]:>26}  {rises[1]:>26}"
    if (found := record.retrieval) is not None:
        shares = [
            f"{100 * share.value:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f}) of {found.n} {what}"
            for share, what in ((found.drawn, "samples"), (found.real, "images"))
        ]
        yield f"found         among {found.among} captions: {', '.join(shares)}"
