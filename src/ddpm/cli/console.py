"""What people see while a command runs."""

from ddpm.system.console import Bar, bar, console

__all__ = ["Bar", "bar", "console"]
