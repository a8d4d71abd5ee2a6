"""Grids: which levels a solver visits."""

from ddpm.sampling.grid.beta import Beta
from ddpm.sampling.grid.divided import divided
from ddpm.sampling.grid.grid import Grid
from ddpm.sampling.grid.listed import Listed
from ddpm.sampling.grid.ratio import Karras, LogSNR
from ddpm.sampling.grid.repaint import repaint
from ddpm.sampling.grid.whole import Power, leading, quadratic, trailing, uniform

__all__ = [
    "Beta",
    "Grid",
    "Karras",
    "Listed",
    "LogSNR",
    "Power",
    "divided",
    "leading",
    "quadratic",
    "repaint",
    "trailing",
    "uniform",
]
