"""Constraints that make samples agree with a linear observation of an image."""

from ddpm.constraints.blur import Blur
from ddpm.constraints.composed import Composed
from ddpm.constraints.ddnm import DDNM
from ddpm.constraints.grey import REC_601, Grey
from ddpm.constraints.mask import Mask
from ddpm.constraints.mmps import MMPS
from ddpm.constraints.operator import Operator, Tight
from ddpm.constraints.pool import AveragePool
from ddpm.constraints.replacement import Replacement

__all__ = [
    "DDNM",
    "MMPS",
    "REC_601",
    "AveragePool",
    "Blur",
    "Composed",
    "Grey",
    "Mask",
    "Operator",
    "Replacement",
    "Tight",
]
