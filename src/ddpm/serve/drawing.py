"""From tickets to pictures: those that agree in everything but seeds and conditions share a batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from PIL import Image

from ddpm.config.sampling import SamplingConfig
from ddpm.engine.options import asked
from ddpm.engine.run import LoadedRun
from ddpm.engine.subjects import Subjects
from ddpm.images.photo import Opened
from ddpm.images.pixels import Pixels
from ddpm.images.sheets import picture
from ddpm.records.provenance import KEY, Provenance
from ddpm.sampling import Row
from ddpm.sampling.follow import Moment
from ddpm.serve.catalog import Catalog
from ddpm.serve.orders import SEEDED, Ticket
from ddpm.system.progress import Progress
from ddpm.tasks import edit, inpaint, interpolate, outpaint, upscale

MOST, MOST_PIXELS = 64, 1 << 22
"""The pictures of the largest batch, and their pixels."""
TASKS: dict[str, Callable[..., Image.Image | list[Image.Image]]] = {
    "inpaint": inpaint.inpaint,
    "outpaint": outpaint.outpaint,
    "edit": edit.edit,
    "upscale": upscale.upscale,
    "interpolate": interpolate.interpolate,
}
"""The tasks that start from pictures."""


class Cancelled(Exception):
    """Nobody waits for the pictures any more."""


class Wanted(NamedTuple):
    """Picture k of a ticket, drawn from noise."""

    ticket: Ticket
    k: int


@dataclass(frozen=True)
class Resolved:
    """An order to sample, with all that it leaves to the run.

    Attributes:
        key: equal for orders that can share a batch.
        run, how: the run, with everything loaded to sample them, and the settings.
        subjects: of the order's pictures.
    """

    key: str
    run: LoadedRun
    how: SamplingConfig
    subjects: Subjects


def resolve(catalog: Catalog, ticket: Ticket) -> Resolved:
    """The run and the settings of an order to sample; loads the run if necessary.

    Raises:
        InputError: the order cannot be carried out.
    """
    order, loaded = ticket.order, catalog.get(ticket.order.run)
    label, prompt = subject(loaded.run, order.label, order.prompt)
    loaded.run.refuse_super_resolution()
    found = asked(loaded.run, order.settings, label, order.n, prompt)
    loaded.run = found.run  # with its classifier, for the next request
    kinds = f"{found.subjects.labels is not None} {found.subjects.prompts is not None}"
    key = f"{order.run} {found.run.weights} {found.how.model_dump_json()} {kinds}"
    return Resolved(key, found.run, found.how, found.subjects)


def subject(run: LoadedRun, label: Any, prompt: Any) -> tuple[Any, Any]:
    """The label and the prompt for a run: a prompt for one with classes and without text is a label."""
    blank = prompt is None or (isinstance(prompt, str) and not prompt.strip())
    if run.text is not None:
        return label, prompt
    if label is None and not blank and run.classes:
        return prompt, None
    return label, None if blank else prompt


def largest(batch: Resolved) -> int:
    """The pictures of the largest batch; 1 where they are drawn one by one anyway, so that none waits for others."""
    engine, area = batch.run.engine, batch.how.area
    if engine.device.type == "cpu" and len(engine.fill(1, batch.how)) == 1:
        return 1
    return _fitting(*(batch.run.config.data.size if area is None else area.size))


def _fitting(height: int, width: int) -> int:
    """The pictures of this size that are drawn together."""
    return max(1, min(MOST, MOST_PIXELS // (height * width)))


def draw(batches: Sequence[tuple[Resolved, Wanted]], watch: Callable[[Moment], None], name: str) -> list[Image.Image]:
    """Draw pictures in one batch, each with its record.

    Args:
        batches: the pictures, with the batch that each ticket resolved to.
        name: the run's name for the records, instead of its path on this machine.
    """
    first = batches[0][0]
    rows = [Row(wanted.ticket.seed, wanted.ticket.order.first + wanted.k) for _, wanted in batches]
    each = [batch.subjects.rows([wanted.k]) for batch, wanted in batches]
    together = Subjects(
        None if first.subjects.labels is None else tuple(one.labels[0] for one in each if one.labels),
        None if first.subjects.prompts is None else tuple(one.prompts[0] for one in each if one.prompts),
    )
    run, how = first.run, first.how
    drawn: Pixels = run.engine.draw(how, rows, run.conditions(together), run.guides(how, together), watch=watch)
    found = []
    for row, subjects, pixels in zip(rows, each, drawn, strict=True):
        record = run.record(how, subjects, row.seed, row.number).model_copy(update={"run": name})
        found.append(record.attach(picture(pixels)))
    return found


def previews(run: LoadedRun, moment: Moment, rows: Sequence[int]) -> list[Image.Image]:
    """The images that the denoiser expects for some rows of a batch."""
    return [picture(pixels) for pixels in run.engine.decoded(moment.x0[list(rows)])]


def work(
    run: LoadedRun,
    ticket: Ticket,
    given: Sequence[Opened],
    mask: Opened | None,
    progress: Progress,
    watch: Callable[[Moment], None],
) -> list[Image.Image]:
    """Carry out an order that starts from pictures.

    Raises:
        InputError: the order cannot be carried out.
    """
    order = ticket.order
    label, prompt = subject(run, order.label, order.prompt)
    batch = min(_fitting(one.image.height, one.image.width) for one in given)
    arguments = {**order.options.given, **order.settings, "label": label, "prompt": prompt, "batch": batch}
    if order.task in SEEDED:
        arguments["seed"] = ticket.seed
    if order.task != "upscale":
        arguments["n"] = order.n
    if order.task in ("inpaint", "outpaint", "edit"):
        arguments["watch"] = watch
    made = TASKS[order.task](run, *given, *([] if mask is None else [mask]), progress=progress, **arguments)
    return [_renamed(image, order.run) for image in (made if isinstance(made, list) else [made])]


def _renamed(image: Image.Image, name: str) -> Image.Image:
    record = Provenance.from_json(image.info[KEY], "the record").model_copy(update={"run": name})
    return record.attach(image)
