"""How tests expect an error: by its code and the values that it names, as wordings stand in messages.txt alone."""

import pytest

from ddpm.system.errors import Code, InputError


def refuses(code: Code, *named: str) -> pytest.RaisesExc[InputError]:
    """A context that must end in an :class:`InputError` of this code, whose message names these flags or values."""
    return pytest.RaisesExc(
        InputError, check=lambda error: error.code == code and all(name in str(error) for name in named)
    )
