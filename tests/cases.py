"""One test of one law for many cases, which names the case that breaks it."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

Test = Callable[..., None]


def cases(names: str | tuple[str, ...], values: Iterable[Any]) -> Callable[[Test], Test]:
    """Run a test for each of these values of its arguments in turn, as one test, up to the first that fails.

    Like ``pytest.mark.parametrize``, which stays for cases that are slow, or that one wants to run by themselves. The
    cases share the fixtures of one test.

    Args:
        values: one for each case; tuples of them for several names.
    """
    told, listed = (names,) if isinstance(names, str) else names, list(values)

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def each(**fixtures: Any) -> None:
            for value in listed:
                given = dict(zip(told, (value,) if isinstance(names, str) else value, strict=True))
                try:
                    test(**fixtures, **given)
                except BaseException as error:
                    error.add_note(f"case: {given}")
                    raise

        signature = inspect.signature(test)
        kept = [parameter for name, parameter in signature.parameters.items() if name not in told]
        each.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        return each

    assert listed, "no cases"
    return decorate
