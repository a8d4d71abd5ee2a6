"""The report page of a run, and single plots."""

from ddpm.report.page import write

__all__ = ["write"]
