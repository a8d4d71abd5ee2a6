"""Requests of clients, and their states."""

import secrets
import time
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from ddpm.config.options import options
from ddpm.config.sampling import SamplingConfig
from ddpm.system.names import Fit, suggest
from ddpm.system.record import Record, Strict, bounds

TaskName = Literal["sample", "inpaint", "outpaint", "edit", "upscale", "interpolate"]
EndName = Literal["done", "failed", "cancelled"]
StateName = Literal["queued", "running"] | EndName
ENDED: tuple[EndName, ...] = get_args(EndName)
"""States in which nothing more happens."""
MOST_PICTURES, MOST_STEPS, MOST_SIDE = 64, 1000, 1 << 13
"""The pictures of a request, the steps of each, and the pixels that outpainting adds on one side."""
LONGEST_NAME, LONGEST_PROMPT = 200, 4096
"""The characters of a run's, a class's or a setting's name, and of a prompt."""
KEPT_BACK = {"guide_with", "precision"}
"""Settings that clients may not choose: the first names a file of the server."""
OPTIONS: dict[TaskName, frozenset[str]] = {
    "sample": frozenset(),
    "inpaint": frozenset({"method", "repaint", "fit"}),
    "outpaint": frozenset({"left", "right", "top", "bottom", "method", "repaint", "fit"}),
    "edit": frozenset({"strength", "fit"}),
    "upscale": frozenset({"augment", "consistent"}),
    "interpolate": frozenset({"fit"}),
}
"""The options of each task."""
SEEDED: tuple[TaskName, ...] = ("sample", "inpaint", "outpaint", "edit", "upscale")
"""Tasks that draw noise."""
NEEDED: dict[TaskName, tuple[str, ...]] = {"edit": ("strength",)}
GIVEN: dict[TaskName, tuple[int, bool]] = {
    "sample": (0, False),
    "inpaint": (1, True),
    "outpaint": (1, False),
    "edit": (1, False),
    "upscale": (1, False),
    "interpolate": (2, False),
}
"""The number of pictures that each task takes, and whether it takes a mask."""

Name = Annotated[str, Field(max_length=LONGEST_NAME)]
ClassName = Name | Annotated[int, bounds(0, 10**6)]
Prompt = Annotated[str, Field(max_length=LONGEST_PROMPT)]
Seed = Annotated[int, bounds(0, 2**63 - 1)]
SettingValue = bool | int | float | Prompt
Setting = SettingValue | Annotated[list[SettingValue], Field(max_length=MOST_STEPS)] | None
Margin = Annotated[int, bounds(0, MOST_SIDE)]


class Options(Strict):
    """The options of a task from pictures; see the function of its name in :mod:`ddpm.tasks`.

    Their types are checked here, so that a wrong value is refused before it is queued.
    """

    method: Name | None = None
    repaint: Annotated[str, Field(pattern=r"^\d{1,4}x\d{1,4}$")] | None = None
    fit: Fit | None = None
    left: Margin | None = None
    right: Margin | None = None
    top: Margin | None = None
    bottom: Margin | None = None
    strength: Annotated[float, bounds(0, 1)] | None = None
    augment: Annotated[float, bounds(0)] | None = None
    consistent: bool | None = None

    @property
    def given(self) -> dict[str, Any]:
        """The options that were given."""
        return self.model_dump(exclude_none=True)


class Order(Strict):
    """A request for pictures.

    Attributes:
        run: The name of the run.
        n: The number of pictures.
        seed: Picture i is a function of the seed and i; a random one if None.
        first: The i of the first picture, to draw one of many again; only from noise.
        label, prompt: For all pictures, or one each.
        settings: Sampling settings by flag: "steps", "solver", "guidance" …; the run's own by default.
        options: Options of the task: "strength", "left", "method", "fit" …
    """

    run: Name
    task: TaskName = "sample"
    n: Annotated[int, bounds(1, MOST_PICTURES)] = 1
    seed: Seed | None = None
    first: Annotated[int, bounds(0, 2**31 - 1)] = 0
    label: ClassName | Annotated[list[ClassName], Field(max_length=MOST_PICTURES)] | None = None
    prompt: Prompt | Annotated[list[Prompt], Field(max_length=MOST_PICTURES)] | None = None
    settings: dict[Name, Setting] = Field(default_factory=dict)
    options: Options = Options()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        known = options(SamplingConfig).keys() - KEPT_BACK
        for group, given, allowed in (
            ("settings", self.settings.keys(), known if self.task != "interpolate" else {"steps"}),
            ("options", self.options.given.keys(), OPTIONS[self.task]),
        ):
            if unknown := sorted(given - allowed):
                choice = suggest(unknown[0], sorted(allowed)) if allowed else "; leave it out"
                raise ValueError(f"{group} of {self.task} have no {unknown[0]!r}{choice}")
        for name in NEEDED.get(self.task, ()):
            if getattr(self.options, name) is None:
                raise ValueError(f"options.{name} is required by {self.task}")
        if self.first and self.task != "sample":
            raise ValueError(f"first has no effect on {self.task}, only on sample")
        if self.n > 1 and self.task == "upscale":
            raise ValueError("upscale makes one picture; leave out n")
        if self.seed is not None and self.task not in SEEDED:
            raise ValueError(f"seed has no effect on {self.task}, which draws no noise; leave it out")
        for name, kinds, what in (("steps", int, "a number"), ("negative", str | int, "a label")):
            value = self.settings.get(name)
            if value is not None and not isinstance(value, kinds):
                raise ValueError(f"settings.{name} must be {what}, not {value!r}")
        return self


class Ticket(Record):
    """An order in the queue, and its outcome.

    Attributes:
        id: Sorts by time.
        client: The client that sent it, for limits.
        pictures: The names of the finished pictures, in order.
        error: Why it failed.
    """

    WRITER: ClassVar[str] = "ddpm serve"
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{23}$")]
    client: str
    order: Order
    created: float
    state: StateName = "queued"
    pictures: tuple[str, ...] = ()
    error: str | None = None

    @classmethod
    def of(cls, order: Order, client: str) -> Self:
        """A new ticket, whose order has a seed if its task draws noise."""
        given = order.seed is not None or order.task not in SEEDED
        seeded = order if given else order.model_copy(update={"seed": secrets.randbelow(2**31)})
        now = time.time()
        return cls(id=f"{int(now * 1e6):015x}{secrets.token_hex(4)}", client=client, order=seeded, created=now)

    @property
    def seed(self) -> int:
        """The seed of the order, whose task draws noise."""
        assert self.order.seed is not None, "such a ticket's order has a seed"
        return self.order.seed

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED

    def picture(self, k: int) -> str:
        """The name of its picture k."""
        return f"{self.id}-{k:03d}.png"

    def given(self, k: int | Literal["mask"]) -> str:
        """The name of the picture k that came with it, or of the mask."""
        return f"{self.id}-given-{k}.png"

    def changed(self, **changes: Any) -> Self:
        """The ticket with some values replaced."""
        return self.model_copy(update=changes)
