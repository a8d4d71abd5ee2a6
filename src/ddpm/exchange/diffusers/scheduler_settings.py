"""The settings of diffusers' schedulers, as in their scheduler_config.json."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field

from ddpm.exchange.diffusers.folder import parsed
from ddpm.system.record import Strict, bounds

Spacing = Literal["leading", "linspace", "trailing"]
RANGED = ("DDPM", "DDIM")
"""Schedulers that clip to the range of pixels by default."""
NARROW = ("Heun", "KDPM2", "KDPM2Ancestral")
"""Schedulers whose default betas are those of latent diffusion."""


class ForeignScheduler(Strict):
    """The settings of any scheduler of a diffusion process with betas.

    A setting with a single allowed value is one that ours always have.

    Attributes:
        clip_sample: None for the default of its class.
        timestep_spacing: None for the default of its class.
        lower_order_final, euler_at_final, final_sigmas_type, lambda_min_clipped, skip_prk_steps, timestep_type,
        interpolation_type, disable_corrector, solver_p, set_alpha_to_one: details of the first or last steps.
        flow_shift, time_shift_type: of flows alone.
        predict_epsilon, tensor_format, timestep_values: of the first versions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    class_name: str = Field(alias="_class_name")
    num_train_timesteps: Annotated[int, bounds(1)] = 1000
    beta_start: Annotated[float | None, bounds(0, 1)] = None
    beta_end: Annotated[float | None, bounds(0, 1)] = None
    beta_schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"] = "linear"
    trained_betas: tuple[float, ...] | None = None
    variance_type: (
        Literal["fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned_range"] | None
    ) = None
    prediction_type: Literal["epsilon", "sample", "v_prediction"] = "epsilon"
    rescale_betas_zero_snr: bool = False
    clip_sample: bool | None = None
    clip_sample_range: float = 1.0
    thresholding: bool = False
    dynamic_thresholding_ratio: Annotated[float, bounds(0, 1, above=True)] = 0.995
    sample_max_value: float = 1.0
    timestep_spacing: Spacing | None = None
    steps_offset: Annotated[int, bounds(0)] = 0
    solver_order: Literal[1, 2, 3] = 2
    solver_type: Literal["midpoint", "heun", "bh1", "bh2", "logrho"] | None = None
    algorithm_type: Literal["dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++", "deis"] | None = None
    use_karras_sigmas: bool | None = False
    use_exponential_sigmas: bool | None = False
    use_beta_sigmas: bool | None = False
    use_lu_lambdas: bool | None = False
    set_alpha_to_one: bool = True
    skip_prk_steps: bool = False
    lower_order_final: bool = True
    euler_at_final: bool = False
    final_sigmas_type: Literal["zero", "sigma_min"] = "zero"
    lambda_min_clipped: float = float("-inf")
    predict_x0: Literal[True] = True
    disable_corrector: tuple[int, ...] = ()
    solver_p: None = None
    sigma_min: None = None
    sigma_max: None = None
    shift_terminal: None = None
    interpolation_type: Literal["linear", "log_linear"] = "linear"
    timestep_type: Literal["discrete", "continuous"] = "discrete"
    use_flow_sigmas: Literal[False] | None = False
    flow_shift: float | None = 1.0
    use_dynamic_shifting: Literal[False] = False
    time_shift_type: str = "exponential"
    predict_epsilon: Literal[True] = True
    tensor_format: str | None = None
    timestep_values: None = None

    @classmethod
    def parse(cls, config: Mapping[str, Any], source: str) -> Self:
        """The settings in the contents of a scheduler_config.json.

        Raises:
            InputError: one is unknown, or not supported.
        """
        return parsed(cls, config, source)

    @property
    def kind(self) -> str:
        """The name of its class without the suffixes: "DPMSolverMultistep"."""
        return self.class_name.removesuffix("Scheduler").removesuffix("Parallel").removesuffix("Discrete")

    @property
    def betas(self) -> tuple[float, float]:
        """The first and the last beta of a named schedule."""
        start, end = (0.00085, 0.012) if self.kind in NARROW else (1e-4, 0.02)
        return start if self.beta_start is None else self.beta_start, end if self.beta_end is None else self.beta_end

    @property
    def clips(self) -> bool:
        """Whether it clips to the range of pixels."""
        return self.kind in RANGED if self.clip_sample is None else self.clip_sample

    @property
    def spacing(self) -> Spacing:
        """How it spaces its timesteps."""
        return self.timestep_spacing or ("leading" if self.kind in (*RANGED, "PNDM") else "linspace")
