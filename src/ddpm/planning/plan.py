"""Turn a user's request into a run with every setting resolved."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from accelerate import Accelerator
from pydantic import TypeAdapter, ValidationError

from ddpm import build
from ddpm.config.codec import CodecConfig, PixelCodecConfig
from ddpm.config.guidance_search import FEWEST, STEPS
from ddpm.config.network import conditioned
from ddpm.config.run import RunConfig, channels_of, kinds
from ddpm.config.sampling import SamplingConfig
from ddpm.config.scoring import planned
from ddpm.config.text import TextConfig
from ddpm.config.upscaling import DEFAULT_SCALE
from ddpm.data.dataset import Dataset
from ddpm.data.order import split
from ddpm.data.pairs import LOW
from ddpm.engine.codec import codec_of
from ddpm.metrics.features.extract import extract_once
from ddpm.planning import latents
from ddpm.planning.assignments import changed, whole_number
from ddpm.planning.defaults import PRECISIONS, intervals, per_process
from ddpm.planning.draft import data_section, plan_of, smaller_micro_batch
from ddpm.planning.narrow import refuse_narrow
from ddpm.planning.recipes import AUTOENCODER, RECIPES, Rung, Tree
from ddpm.planning.reopen import reopen
from ddpm.planning.request import Request
from ddpm.planning.text import text_of
from ddpm.records.codec import StoredCodec
from ddpm.system.errors import InputError
from ddpm.system.names import GridName, suggest
from ddpm.system.progress import Progress, Say, silent
from ddpm.system.threads import threads
from ddpm.training.job import Job
from ddpm.training.measure import Memory, memory

READ = 2**17
"""The maximum number of captions that a vocabulary is built from, evenly spread."""


@dataclass(frozen=True)
class Plan:
    """A resolved run and its cost.

    Attributes:
        config: all settings, written to config.json.
        job: ready to train.
        speed: measured images per second; None if not measured.
        memory: the memory of one process.
        codec: the autoencoder to copy into the run folder; None for a run of pixels.
        text: the folder of a frozen text encoder to copy; None for a run without one of its own.
    """

    config: RunConfig
    job: Job
    speed: float | None
    memory: Memory
    codec: StoredCodec | None = None
    text: Path | None = None


def make(
    request: Request,
    out: Path,
    dataset: Dataset,
    accelerator: Accelerator,
    *,
    asked: Mapping[str, Any],
    began: float,
    say: Say,
    progress: Progress = silent,
) -> Plan:
    """Resolve every setting that the request leaves open.

    Args:
        asked: the flags as given, kept in the config.
        began: ``time.monotonic()`` when the command started, which is when a time budget starts.
        say: called with a line about each decision.

    Raises:
        InputError: the request or its data cannot be trained.
    """
    threads().ease()
    with accelerator.main_process_first():  # for the cache only: measuring below takes all processes at once
        if request.scoring and not dataset.streamed:  # first, because this takes some of the training time
            features = build.build_features("embedded", None, dataset.shape[:2], accelerator.device)
            extract_once(features, dataset, progress)
    stored = latents.stored(request, dataset)
    draft = _Draft(request, out, dataset, accelerator, asked, say, stored)
    rungs = draft.rungs()
    draft.encode(rungs[0], progress)
    if stored is None and request.recipe == "auto" and (advice := latents.advice(request.data, draft.data["size"])):
        say(f"note: {advice}")
    return plan_of(draft, rungs, request.images, request.seconds, began)


@dataclass(frozen=True)
class _Draft:
    """A run with known data whose settings are being resolved."""

    request: Request
    out: Path
    dataset: Dataset
    accelerator: Accelerator
    asked: Mapping[str, Any]
    say: Say
    stored: StoredCodec | None = None
    few: str = "more than colours"

    @cached_property
    def data(self) -> Tree:
        """The section of the config."""
        classes = self.dataset.classes if self.request.labels else ()
        return data_section(self.request, self.dataset, self._seed) | {"classes": classes}

    @cached_property
    def text(self) -> TextConfig | None:
        """The encoder of captions; None for a run without text."""
        kept = self.dataset.subset(split(len(self.dataset), self._seed, self.dataset.validation)[0])
        captions = kept.captions
        own = None if captions is None else [captions[i] for i in kept.spread(READ).tolist()]
        return text_of(self.request, own, self._network, self.say)

    @property
    def _seed(self) -> int:
        return whole_number("training.seed", self.request.changes.get("training.seed", 0))

    @property
    def _network(self) -> str:
        return str(self.request.changes.get("network.kind", "unet"))

    def rungs(self) -> list[Rung]:
        """The recipe's rungs, smallest network first."""
        name = self.request.recipe
        if name not in RECIPES:
            raise InputError("unknown", f"unknown recipe {name!r}{suggest(name, [*RECIPES, AUTOENCODER])}")
        size = latents.size(self.stored, self.data["size"])
        with latents.refused_in_pixels(self.stored, self.data["size"]):
            return RECIPES[name](size, bool(self.data["classes"]) or self.text is not None, self._network)

    def encode(self, rung: Rung, progress: Progress) -> None:
        """Encode the images of a run in latents into the cache, before speeds are measured."""
        if self.stored is not None:
            config = self.config(rung.tree, 1)
            codec = codec_of(self.stored, config, self.accelerator.device)
            latents.encoded(self.dataset, codec, config, self.accelerator, progress)

    def config(self, tree: Tree, images: int) -> RunConfig:
        """The complete config from a recipe's tree, the data and the user's changes."""
        changes = self.request.changes
        batch = tree.get("training", {}).get("batch", 128)
        training = {
            "warmup": min(50_000, images // 20),
            **intervals(batch, images),
            "previews": max(1, min(5, images // 25_000)),
            "precision": PRECISIONS[self.accelerator.mixed_precision],
        }
        whole: Tree = {
            "recipe": self.request.recipe,
            "request": dict(self.asked),
            "data": self.data,
            **{part: dict(tree.get(part, {})) for part in ("diffusion", "objective", "network", "sampling")},
            "training": training | tree.get("training", {}) | {"images": images},
        }
        if self.stored is not None:
            whole["codec"] = self.stored.settings.model_dump()
            whole["sampling"].setdefault("clip", "none")
        if self.text is not None:
            whole["text"] = self.text.model_dump()
        if "upscaling" in tree:
            low = self.dataset.partners.get(LOW)
            given = {} if low is None else {"low": self.request.low, "low_fingerprint": low.fingerprint}
            whole["upscaling"] = {**tree["upscaling"], "scale": self.request.scale or DEFAULT_SCALE, **given}
        if self.request.scoring:
            whole["scoring"] = {"every": images}
        if self.request.guidance_search is not False and "upscaling" not in tree:
            whole["guidance_search"] = {}
        others = [key for key in changes if key.startswith(("diffusion.", "objective."))]
        if self.text is not None and "upscaling" not in tree and not others:
            # the colours that captions name are decided at the noisiest levels, which few logit-normal ones are
            whole["objective"]["levels"] = {"name": "stratified"}
        elif not all(key.startswith("objective.levels.") for key in others):
            # a recipe's levels suit its own process and loss only: others might even refuse them
            whole["objective"].pop("levels", None)
        if changes.get("training.label_dropout") == 0:  # there is nothing trained to guide away from
            whole["sampling"].pop("guidance", None)
        whole = changed(whole, changes)
        whole["network"] = _fitted(whole)
        if "micro_batch" not in whole["training"]:
            batch = whole_number("training.batch", whole["training"].get("batch", batch))
            whole["training"]["micro_batch"] = per_process(batch, self.accelerator.num_processes)
        levels = max(1, whole_number("diffusion.T", whole["diffusion"].get("T", 1000)))
        usual = {"sampling": SamplingConfig().steps, "scoring": 16, "guidance_search": STEPS}
        for name, steps in usual.items():
            if name in whole and f"{name}.steps" not in changes:
                whole[name]["steps"] = min(whole[name].get("steps", steps), levels)
        listed = whole["sampling"].get("grid", "trailing") not in get_args(GridName)
        if listed and "sampling.steps" not in changes:
            del whole["sampling"]["steps"]  # a listed grid has its own number of steps
        config = latents.scaled(RunConfig.parse(whole))
        scoring, search = config.scoring, config.guidance_search
        if scoring is not None:
            fixed = {key.removeprefix("scoring.") for key in changes}
            scoring = planned(scoring, images, config.training.batch, fixed)
        if search is not None:
            fixed = {key.removeprefix("guidance_search.") for key in changes}
            search = search.planned(images, config.guides, fixed, FEWEST if self.request.guidance_search else 0)
        if not config.guides and config.training.averages < 2:  # nothing to guide away from
            search = None
        if search is None and self.request.guidance_search:
            raise InputError(
                "conflict",
                "--tune-guidance requires classes whose labels are sometimes dropped in training, or "
                "--set training.averages=16; drop --tune-guidance",
            )
        return config.model_copy(update={"scoring": scoring, "guidance_search": search})

    def plan(self, tree: Tree, images: int, speed: float | None) -> Plan:
        """The finished plan, with the micro-batch lowered to fit in memory."""
        config = self.config(tree, images)
        refuse_narrow(config)
        codec = codec_of(self.stored, config, self.accelerator.device)
        job = reopen(config, self.out, self.dataset, self.accelerator, codec)
        needs = memory(job.model, job.objective, job.settings, job.data, self.accelerator)
        if "training.micro_batch" not in self.request.changes:
            asked = config.training.micro_batch
            micro = smaller_micro_batch(needs, asked, self.accelerator.device, self.say)
            if micro is not None:
                config = self.config({**tree, "training": {**tree["training"], "micro_batch": micro}}, images)
                job = reopen(config, self.out, self.dataset, self.accelerator, codec)
        return Plan(config, job, speed, needs, self.stored)

    def overhead(self, tree: Tree, images: int) -> Mapping[str, float]:
        """The cost of scores and of the search for guidance in a run on this many images, in images trained in the
        same time."""
        config = self.config(tree, images)
        scoring, search = config.scoring, config.guidance_search
        found: dict[str, float] = {}
        if scoring is not None:
            found["scoring"] = scoring.overhead(images, config.training.batch)
        if search is not None:
            found["the search for guidance"] = search.cost(config.guides)
        return found


def _fitted(whole: Tree) -> dict[str, Any]:
    """The network settings of a run, with the channels and the conditioning vector that the rest requires."""
    try:
        codec: CodecConfig = TypeAdapter(CodecConfig).validate_python(whole.get("codec", {}))
    except ValidationError:  # reported when the whole config is parsed
        codec = PixelCodecConfig()
    learned = whole["diffusion"].get("variance") == "learned"
    seen, answered = channels_of(codec, whole["data"]["mode"], upscaling="upscaling" in whole, learned=learned)
    net = {"in_channels": seen, "out_channels": answered, **whole["network"]}
    return conditioned(net, tokens="text" in whole) if kinds(whole) else net
