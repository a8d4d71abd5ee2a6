"""Weightings that leave most levels unlearned."""

from ddpm import build
from ddpm.config.run import RunConfig
from ddpm.core import Stream
from ddpm.objectives.weighting import concentration, on_output
from ddpm.system.errors import InputError

FEWEST_LEVELS = 0.1
"""Share of the levels on which a loss must lie to be trained; what lies on fewer has learned nothing."""


def refuse_narrow(config: RunConfig) -> None:
    """Refuse weights that nearly all lie on a few levels: the network would learn those, and noise at all others."""
    if config.objective.loss.name == "vlb" or (share := weight_share(config)) >= FEWEST_LEVELS:
        return
    d, o = config.diffusion, config.objective
    raise InputError(
        "incompatible",
        f"the weighting {o.weighting.name} of {d.prediction} prediction lies on {100 * share:.2g} % of the "
        f"{o.levels.name} levels of the {d.schedule} schedule, so that the others would not be learned; use another "
        "--weighting, or v prediction with it",
    )


def weight_share(config: RunConfig) -> float:
    """The share of the levels, as training draws them first, on which the simple loss lies; see ``concentration``."""
    schedule, sampling = build.build_schedule(config.diffusion), build.build_level_sampling(config.objective)
    # a few draws have most of the weight, and of too few draws none: 4096 tell the share to a quarter only
    drawn = sampling.draw(schedule, 65_536, Stream(0, "weight share"), sampling.history(schedule.T))
    predict = build.build_parameterisation(config.diffusion).prediction
    weights = on_output(build.build_weighting(config), predict, schedule.levels(drawn.timesteps))
    return concentration(weights.expand(len(drawn.timesteps)))
