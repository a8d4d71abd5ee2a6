"""diffusers, as a contender: what its own example of unconditional training does, and its pipeline."""

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from diffusers import DDIMPipeline, DDIMScheduler, DDPMScheduler, UNet2DModel
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel

from side_by_side.subject import Made, Subject, weights

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def averaged(net: UNet2DModel) -> EMAModel:
    """The moving average of ``examples/unconditional_image_generation``, with its defaults."""
    return EMAModel(
        net.parameters(),
        decay=0.9999,
        use_ema_warmup=True,
        inv_gamma=1.0,
        power=3 / 4,
        model_cls=type(net),
        model_config=net.config,
    )


def training(subject: Subject) -> Made:
    """The act "step": one optimiser step as in ``examples/unconditional_image_generation``, with its defaults."""
    mixed = "no" if subject.precision == "fp32" else subject.precision
    accelerator = Accelerator(cpu=subject.device == "cpu", mixed_precision=mixed)
    net = subject.peer().to(memory_format=subject.layout)
    ema = averaged(net)
    noise_scheduler = DDPMScheduler(num_train_timesteps=1000)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8)
    rate = get_scheduler("cosine", optimizer=optimizer, num_warmup_steps=500, num_training_steps=100_000)
    net, optimizer, rate = accelerator.prepare(net, optimizer, rate)
    ema.to(accelerator.device)
    # (B, H, W, C) uint8 -> (B, C, H, W) in [-1, 1], which their loader does in other processes
    images = subject.images().permute(0, 3, 1, 2).to(accelerator.device) / 127.5 - 1

    def step() -> None:
        clean = images.to(_DTYPES[subject.precision], memory_format=subject.layout)
        noise = torch.randn(clean.shape, dtype=clean.dtype, device=clean.device)
        timesteps = torch.randint(0, 1000, (len(clean),), device=clean.device).long()
        noisy = noise_scheduler.add_noise(clean, noise, timesteps)
        with accelerator.accumulate(net):
            loss = F.mse_loss(net(noisy, timesteps).sample.float(), noise.float())
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            rate.step()
            optimizer.zero_grad()
        if accelerator.sync_gradients:
            ema.step(net.parameters())
        loss.detach().item()

    return Made({"step": step}, {"weights": weights(net)})


def sampling(subject: Subject, *, steps: int, autocast: bool = False) -> Made:
    """The acts "loop", their DDIM pipeline up to the tensor of images, and "calls", its bare network calls.

    Half precision is that of the weights, or autocast's.
    """
    dtype = torch.float32 if autocast else _DTYPES[subject.precision]
    net = subject.peer().eval().requires_grad_(False).to(subject.device, dtype, memory_format=subject.layout)
    pipeline = DDIMPipeline(net, DDIMScheduler(timestep_spacing="linspace"))
    pipeline.set_progress_bar_config(disable=True)
    x = torch.randn(subject.shape, device=subject.device, dtype=dtype)
    t = torch.tensor(1, device=subject.device)

    def cast() -> torch.autocast:
        return torch.autocast(subject.device, _DTYPES[subject.precision], enabled=autocast)

    def loop() -> None:
        noise = torch.Generator(subject.device).manual_seed(0)
        with cast():
            pipeline(subject.batch, noise, num_inference_steps=steps, output_type="pt")

    @torch.no_grad()
    def calls() -> None:
        with cast():
            for _ in range(steps):
                net(x, t)

    return Made({"loop": loop, "calls": calls}, {"weights": weights(net)})
