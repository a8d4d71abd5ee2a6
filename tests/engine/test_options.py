"""What is asked for beside the run's own settings, which give way to it."""

from dataclasses import replace
from typing import Any

from tests import tiny

from ddpm.config.guidance import GuidanceConfig
from ddpm.config.options import changed
from ddpm.config.sampling import DynamicClip, FixedClip
from ddpm.config.solver import EtaSolver
from ddpm.engine.options import settings
from ddpm.engine.run import LoadedRun
from ddpm.tasks.generate import sample
from ddpm.tasks.interpolate import interpolate_conditions
from refusal import refuses


def test_of_another_solver_the_options_are_those_of_nobody(loaded: LoadedRun) -> None:
    """A run's own churn does not stand in the way of DDIM."""
    own = changed(loaded.config.sampling, {"solver": "edm", "churn": 3.0})
    other = replace(loaded, config=loaded.config.model_copy(update={"sampling": own}))
    assert settings(other, {}) == settings(other, {"solver": "edm"}) == own
    assert settings(other, {"solver": "ddim"}).solver == EtaSolver(name="ddim")
    assert settings(other, {"solver": "ddim", "eta": 0.5}).solver == EtaSolver(name="ddim", eta=0.5)


def test_without_guidance_its_options_are_those_of_nobody(loaded: LoadedRun) -> None:
    """A run's own interval does not stand in the way of guidance 1."""
    own = changed(loaded.config.sampling, {"guidance": 2.0, "guidance_interval": (0.2, 5.0)})
    other = replace(loaded, config=loaded.config.model_copy(update={"sampling": own}))
    assert settings(other, {}) == own
    assert settings(other, {"guidance": 1}).guidance is None


def test_without_clipping_the_threshold_is_that_of_nobody(loaded: LoadedRun) -> None:
    own = changed(loaded.config.sampling, {"threshold": 0.9})
    other = replace(loaded, config=loaded.config.model_copy(update={"sampling": own}))
    assert settings(other, {}).clip == DynamicClip(kind="dynamic", quantile=0.9)
    assert settings(other, {"clip": False}).clip == FixedClip(kind="none")
    with refuses("invalid"):
        settings(other, {"clip": False, "threshold": 0.9})


def test_a_run_of_its_own_places(loaded: LoadedRun) -> None:
    """They may be replaced by a name, which takes as many steps, or other places; not by steps alone."""
    own = loaded.config.sampling.model_copy(update={"grid": (1000.0, 300.0), "steps": 2})
    run = replace(loaded, config=loaded.config.model_copy(update={"sampling": own}))
    assert settings(run, {}) == own
    (mine,), (same,) = sample(run, 1), sample(loaded, 1, grid="1000,300")
    assert mine.tobytes() == same.tobytes()
    assert (settings(run, {"grid": "karras"}).grid, settings(run, {"grid": "karras"}).steps) == ("karras", 2)
    assert settings(run, {"grid": "900,800,700"}).steps == 3
    with refuses("invalid"):
        settings(run, {"steps": 5})


def test_a_label_is_required_where_none_was_never_trained(loaded: LoadedRun) -> None:
    never = replace(loaded.config.training, label_dropout=0.0)
    run = replace(loaded, config=loaded.config.model_copy(update={"training": never}))
    with refuses("missing", "label", run.classes[0]):
        sample(run, 1, steps=1, guidance=1)
    assert len(sample(run, 1, steps=1, label=0, guidance=1)) == 1
    guided = run.config.sampling.model_copy(update={"guidance": GuidanceConfig(scale=2.0)})
    old = replace(run, config=run.config.model_copy(update={"sampling": guided}))
    assert settings(old, {}).guidance is None  # there is no null to guide away from
    learned = changed(run.config.sampling, {"guidance": 2.0, "negative": run.classes[1]})
    other = replace(run, config=run.config.model_copy(update={"sampling": learned}))
    assert settings(other, {}).guidance == learned.guidance
    with refuses("conflict", "guidance 2", "label", "negative"):
        sample(run, 1, steps=1, label=0, guidance=2)
    assert len(sample(run, 1, steps=1, label=0, guidance=2, negative=1)) == 1


def test_a_prompt_is_required_where_none_was_never_trained() -> None:
    run = tiny.loaded("RGB", text=True)
    never = replace(run.config.training, label_dropout=0.0)
    run = replace(run, config=run.config.model_copy(update={"training": never}))
    for prompt in (None, " ", ["red", ""]):
        with refuses("missing", "prompt"):
            sample(run, 2, label=0, prompt=prompt, guidance=1)
    with refuses("missing", "prompt"):
        interpolate_conditions(run, label=0, prompt=["", "red"])
    both: dict[str, Any] = {"label": 0, "negative": 1, "guidance": 2}
    with refuses("conflict", "negative_prompt"):
        sample(run, 1, prompt="red", **both)
    assert len(sample(run, 1, prompt="red", negative_prompt="blue", **both)) == 1
