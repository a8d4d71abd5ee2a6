"""Stable Diffusion in a single file, in the layout of CompVis' latent diffusion."""

from ddpm.exchange.ldm.model import read_model, recognises

__all__ = ["read_model", "recognises"]
