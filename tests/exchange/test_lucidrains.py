"""What is inferred, and what is refused; the numbers are compared in ``tests/agreement/test_lucidrains.py``."""

import torch

from cases import cases
from ddpm.exchange import lucidrains
from lucidrains_states import made, trainers_file
from refusal import refuses

SIZE = "--image_size 8x12"


def test_the_choice_of_weights_is_said(tmp_path):
    path = trainers_file(tmp_path / "model-1.pt", made("v", "state"))
    averaged = lucidrains.read_model(path, SIZE)
    assert "moving average" in averaged.inferred[0]
    assert any(weight.any() for weight in averaged.weights.values())
    # the weights of the last step are zeros in this file, but its tables would be, too
    with refuses("incompatible", "betas"):
        lucidrains.read_model(path, f"{SIZE} --weights model")


@cases(
    ("flags", "code", "named"),
    [
        ("", "missing", "--image_size"),
        ("--image_size 9", "incompatible", "divisible"),
        (f"{SIZE} --timesteps 1000", "conflict", "timesteps 20"),
        (f"{SIZE} --objective pred_noise", "conflict", "pred_v"),
        (f"{SIZE} --beta_schedule linear", "conflict", "sigmoid"),
        (f"{SIZE} --beta_schedule quadratic", "unknown", "quadratic"),
        (f"{SIZE} --weights best", "unknown", "best"),
        (f"{SIZE} --sampling_timesteps 21", "invalid", "21"),
        (f"{SIZE} --auto_normalize False", "incompatible", "auto_normalize"),
        (f"{SIZE} --dropout 2", "invalid", "dropout"),
    ],
)
def test_flags_that_do_not_fit(flags, code, named, tmp_path):
    with refuses(code, named):
        lucidrains.read_model(trainers_file(tmp_path / "model-1.pt", made("v", "state")), flags)


def without(part: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in state.items() if part not in name}


@cases(
    ("change", "named"),
    [
        (lambda s: s | {"ema_model.model.classes_emb.weight": torch.ones(3, 4)}, "classes_emb"),
        (lambda s: s | {"ema_model.model.time_mlp.0.weights": torch.ones(8)}, "learned_sinusoidal_cond"),
        (lambda s: s | {"ema_model.model.init_conv.weight": torch.ones(4, 6, 7, 7)}, "self_condition"),
        (lambda s: s | {"ema_model.other": torch.ones(3)}, "other"),
        (lambda s: s | {"ema_model.model.final_conv.bias": torch.ones(4)}, "final_conv.bias"),
        (lambda s: s | {"ema_model.loss_weight": torch.full((20,), 0.5)}, "loss_weight"),
        (lambda s: without("mem_kv", s), "mem_kv"),
        (lambda s: without("mid_block1.mlp", s), "mid_block1.mlp"),
    ],
)
def test_models_that_differ(change, named, tmp_path):
    with refuses("incompatible", named):
        lucidrains.read_model(trainers_file(tmp_path / "model-1.pt", change(made("v", "state"))), SIZE)


def test_other_files_are_not_recognised(tmp_path):
    torch.save({"conv.weight": torch.ones(1)}, tmp_path / "other.pt")
    assert not lucidrains.recognises(tmp_path / "other.pt")
    assert not lucidrains.recognises(tmp_path)
