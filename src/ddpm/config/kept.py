"""A tree of values that is kept as a file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from ddpm.system.errors import InputError
from ddpm.system.record import Strict, explain

FORMAT = 2
"""Raised when a config of before can no longer be read."""


class Kept(Strict):
    """What a config.json holds; it has a key "format"."""

    @classmethod
    def parse(cls, tree: Mapping[str, Any], where: str = "the configuration") -> Self:
        """Validate a tree of plain values.

        Raises:
            InputError: an unknown key, with the nearest known one, or a value that is not allowed.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as e:
            raise InputError(f"{where}: {explain(e, cls)}") from e

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a config.json.

        Raises:
            InputError: it is absent, no JSON, or not such a config.
        """
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{path.parent} is not a run folder: it has no {path.name}") from None
        except (OSError, ValueError) as e:
            raise InputError(f"{path} cannot be read ({e}); restore it from a copy") from e
        if not isinstance(tree, dict) or "format" not in tree:
            raise InputError(f"{path} is not the config of a ddpm run; give a folder that `ddpm train` made")
        if tree["format"] != FORMAT:
            raise InputError(f"{path} has format {tree['format']}, and this version of ddpm reads format {FORMAT}")
        return cls.parse(tree, str(path))

    def to_json(self) -> str:
        """As it is written to config.json."""
        return self.model_dump_json(indent=2) + "\n"
