"""Apply optional settings to frozen objects."""

from dataclasses import replace
from typing import Any

from ddpm.system.record import Strict


def with_options(one: Any, **options: float | None) -> Any:
    """A frozen object with those options replaced that are not None."""
    given = {name: value for name, value in options.items() if value is not None}
    return replace(one, **given) if given else one


def given(group: Strict) -> dict[str, Any]:
    """The options of a named group that are set."""
    return group.model_dump(exclude={"name"}, exclude_none=True)
