"""Refuse weightings that leave most levels unlearned."""

from ddpm import build
from ddpm.config.run import RunConfig
from ddpm.core import Stream
from ddpm.objectives.weighting import concentration, on_output
from ddpm.system.errors import InputError

FEWEST_LEVELS = 0.1
"""The smallest share of levels a loss may concentrate on; runs below it have learned nothing."""


def refuse_narrow(config: RunConfig) -> None:
    """Refuse a weighting concentrated on a few levels: the network would learn nothing at the others."""
    if config.objective.loss.name == "vlb" or (share := weight_share(config)) >= FEWEST_LEVELS:
        return
    d, o = config.diffusion, config.objective
    raise InputError(
        "incompatible",
        f"--weighting {o.weighting.name} with {d.prediction} prediction trains only {100 * share:.2g} % of the "
        f"{o.levels.name} levels of the {d.schedule} schedule; use another --weighting, or --prediction v",
    )


def weight_share(config: RunConfig) -> float:
    """The share of levels, as first drawn, on which the simple loss concentrates; see ``concentration``."""
    schedule, sampling = build.build_schedule(config.diffusion), build.build_level_sampling(config.objective)
    # a few draws carry most of the weight: from 4096 draws, the share would only be known to a quarter
    drawn = sampling.draw(schedule, 65_536, Stream(0, "weight share"), sampling.history(schedule.T))
    predict = build.build_parameterisation(config.diffusion).prediction
    weights = on_output(build.build_weighting(config), predict, schedule.levels(drawn.timesteps))
    return concentration(weights.expand(len(drawn.timesteps)))
