"""One page on a run, and single plots."""

from ddpm.report.page import write

__all__ = ["write"]
