"""Find the guidance of a run by the distance and the recall of its samples."""

import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ddpm import build
from ddpm.config.guidance import GuidanceConfig
from ddpm.config.guidance_search import LENGTHS
from ddpm.config.sampling import SamplingConfig
from ddpm.core.seed import derive
from ddpm.core.stream import Stream
from ddpm.engine import autoguidance
from ddpm.engine.loading import load
from ddpm.engine.options import settings
from ddpm.engine.run import LoadedRun
from ddpm.evaluation.drawn import SHARD, SampleRecipe, SampleStore, prompts_of, proportions_of
from ddpm.evaluation.guidance_search import search
from ddpm.evaluation.measure import NEIGHBOURS, REPLICATES
from ddpm.evaluation.options import EvaluationOptions
from ddpm.evaluation.reference import FEWEST, reference
from ddpm.metrics import frechet, manifold
from ddpm.metrics.estimate import interval, resamples
from ddpm.metrics.features.extract import extract
from ddpm.records import average as averages
from ddpm.records.guidance import Average, GuidanceRecord, GuidanceTrial, best, words
from ddpm.records.run_folder import RunFolder, weights_hash
from ddpm.records.score import FeaturesRecord, ReferenceRecord
from ddpm.system.errors import InputError
from ddpm.system.progress import Progress, doing
from ddpm.training import checkpoint as checkpoints

REAL, BALLS = 5000, 2000
"""The most real images for the Fréchet distance and, of these, for precision and recall: always the same ones."""
FAST = SamplingConfig()
"""The solver and grid of a search at the end of training."""


@dataclass(frozen=True)
class AskGuidance:
    """The settings of a search.

    Attributes:
        n: samples per trial.
        data: the real images; the run's own if None.
        sampling: options that override the run's own, except guidance.
        batch: the number of samples in memory at a time.
        lengths: the lengths of the averages of the weights to compare with the run's own.
    """

    n: int = 512
    data: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    batch: int = SHARD
    lengths: Sequence[float] = LENGTHS


def after_training(folder: Path, device: torch.device, progress: Progress) -> GuidanceRecord | None:
    """Search as a run's config says, unless its weights have a record; None if there is nothing to do."""
    loaded = load(folder, device)
    planned = loaded.config.guidance_search
    if planned is None or loaded.guided is not None:
        return None
    precision = loaded.config.training.precision
    half = {} if precision == "fp32" else {"precision": precision}
    # whatever the run's own: it may take far more steps, or levels that fix their number
    sampling = {"solver": FAST.solver.name, "grid": FAST.grid, "steps": planned.steps, **half}
    batch = min(SHARD, loaded.config.training.micro_batch)
    ask = AskGuidance(planned.samples, sampling=sampling, batch=batch, lengths=planned.lengths)
    return tune_guidance(loaded, ask, progress)


def tune_guidance(loaded: LoadedRun, ask: AskGuidance, progress: Progress) -> GuidanceRecord:
    """Search for the guidance with the lowest distance that keeps the recall of the run's own.

    With that guidance, averages of the weights of other lengths are compared with the run's own in the same way; if one
    is better, it is written into the run folder. All trials draw the same noise and labels. Their samples are kept in
    the run folder, so that an interrupted search can be resumed.

    Raises:
        InputError: there is nothing to guide by, or the settings or images cannot be used.
    """
    loaded.refuse_super_resolution()
    loaded.refuse_student("tuning")
    if ask.n < FEWEST:
        raise InputError("invalid", f"-n {ask.n} is too few to measure; use at least {FEWEST}")
    for length in ask.lengths:
        averages.check(length)
    if loaded.guided is not None and loaded.weights != loaded.guided.weights:
        loaded = load(loaded.source, loaded.engine.device, own=True)
    loaded = replace(loaded, tuned=(), guided=None)  # so that the search does not depend on an earlier one
    conditional, guide = loaded.config.guides, None
    if autoguidance.early(RunFolder.open(loaded.source)) is not None:
        guide = autoguidance.guide(autoguidance.EARLY, loaded.source, loaded.weights)
    elif not conditional:
        raise InputError(
            "incompatible",
            f"the guidance of {loaded.source} cannot be tuned: it was not trained both with and without labels or "
            "captions, and has no average or checkpoint from its first half; train with label dropout, or with "
            "--set training.averages=16",
        )
    how = settings(loaded, dict(ask.sampling))
    if not conditional:
        how = how.model_copy(update={"guidance": None})
    loaded.engine.grid(how)  # unusable settings are refused before anything is read or drawn
    trials = _Trials(loaded, how, ask, progress)
    found = tuple(search(trials.measure, how.guidance, guide, labels=conditional))
    chosen, run = best(found).guidance, RunFolder.open(loaded.source)
    compared = trials.lengths(chosen, ask.lengths) if averages.saved(run) else ()
    return GuidanceRecord(
        weights=loaded.weights,
        n=ask.n,
        seed=trials.seed,
        sampling=how,
        features=FeaturesRecord.of(trials.extractor),
        reference=trials.reference,
        trials=found,
        chosen=chosen,
        lengths=compared,
        average=_written(run, best(compared).length) if compared else None,
    )


def _written(run: RunFolder, length: float | None) -> Average | None:
    """Write the average of a length into the run folder; None for the run's own weights."""
    if length is None:
        return None
    folder = averages.average(run, length)
    return Average(length=length, weights=weights_hash(RunFolder(run.path, folder).weights()))


class _Trials:
    """Samples of a run that differ only in their guidance, and their measurement.

    Attributes:
        seed: not that of evaluations, which would then flatter the choice.
        real: features of the real images, (N, D).
        first: the distance of the first trial, and its resamples.
    """

    def __init__(self, loaded: LoadedRun, how: SamplingConfig, ask: AskGuidance, progress: Progress) -> None:
        self.loaded, self.how, self.ask, self.progress = loaded, how, ask, progress
        self.seed = derive(loaded.config.training.seed, "guidance")
        d = loaded.config.data
        options = EvaluationOptions(ask.data, fit=d.fit, skip_bad=d.skip_bad)
        found = reference(options, d, doing(progress, "reading the real images"))
        some = found.data.subset(Stream(0, "real", len(found.data)).permutation(len(found.data))[:REAL].numpy())
        self.reference = ReferenceRecord.of(found.source, found.data).model_copy(update={"images": len(some)})
        self.proportions, _ = proportions_of(loaded.classes, found.data)
        self.prompts, _ = prompts_of(loaded, found.data)
        self.extractor = build.build_features("embedded", None, d.size, loaded.engine.device)
        self.real = extract(self.extractor, some, doing(progress, "extracting features"))
        self.normal, self.counts = frechet.fit(self.real), resamples(ask.n, REPLICATES)
        self.first: tuple[float, torch.Tensor] | None = None

    def lengths(self, guidance: GuidanceConfig | None, lengths: Sequence[float]) -> tuple[GuidanceTrial, ...]:
        """Measure averages of these lengths, and the run's own weights first; nothing without lengths."""
        self.first = None
        return tuple(self.measure(guidance, length) for length in (None, *lengths)) if lengths else ()

    def measure(self, guidance: GuidanceConfig | None, length: float | None = None) -> GuidanceTrial:
        """Draw the samples that are missing, and measure all of them."""
        began = time.monotonic()
        ours = extract(self.extractor, self._drawn(guidance, length))
        distance = frechet.distance(frechet.fit(ours), self.normal)
        spread = frechet.replicates(ours, self.normal, self.counts)
        first, first_spread = self.first = self.first or (distance, spread)
        shares = manifold.estimate(ours, self.real[:BALLS], self.counts, NEIGHBOURS)
        return GuidanceTrial(
            guidance=guidance,
            length=length,
            frechet=interval(distance, spread, least=0.0),
            change=interval(distance - first, spread - first_spread),
            precision=shares[0],
            recall=shares[1],
            coverage=shares[3],
            seconds=time.monotonic() - began,
        )

    def _drawn(self, guidance: GuidanceConfig | None, length: float | None) -> SampleStore:
        how, loaded = self.how.model_copy(update={"guidance": guidance}), _averaged(self.loaded, length)
        recipe, d = SampleRecipe(loaded.weights, how, self.seed, self.proportions, self.prompts), loaded.config.data
        folder = RunFolder.open(loaded.source).drawn / recipe.key
        drawn = SampleStore(folder, self.ask.n, (*d.size, len(d.mode)))
        report = doing(self.progress, f"guidance {words(guidance)}" if length is None else f"average {length:g}")
        for _ in drawn.draw(loaded.prepared(how), recipe, drawn.missing(), self.ask.batch, report):
            pass
        return drawn


def _averaged(loaded: LoadedRun, length: float | None) -> LoadedRun:
    """The run with the average of a length as its weights."""
    if length is None:
        return loaded
    weights, model = averages.averaged(RunFolder.open(loaded.source), length), deepcopy(loaded.engine.model)
    checkpoints.load_into(model.state_dict(), weights, f"the average of length {length:g}")
    return replace(loaded, engine=loaded.engine.with_model(model), weights=weights_hash(weights))
