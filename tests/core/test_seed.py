import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm.core.seed import derive, key

parts = st.lists(st.integers() | st.text(), max_size=4)


def test_the_numbers_never_change() -> None:
    assert derive(0) == 8493733112532773764
    assert derive(0, "noise", 7) == 11637423363765549208
    assert key(0, "noise", 7) == 85028252874246573674688524187471092308


@given(st.integers(), parts)
def test_a_seed_fits_every_generator(seed: int, stream: list[int | str]) -> None:
    assert 0 <= derive(seed, *stream) < 2**64


@given(parts, parts)
def test_streams_differ(a: list[int | str], b: list[int | str]) -> None:
    assert (derive(0, *a) == derive(0, *b)) == (key(0, *a) == key(0, *b)) == (a == b)


def test_a_number_is_not_its_name() -> None:
    assert derive(0, 1) != derive(0, "1")
    assert derive(0, 1, 2) != derive(0, 12)
    assert derive(0, "a,b") != derive(0, "a", "b")


def test_a_fraction_is_no_stream() -> None:
    with pytest.raises(TypeError):
        derive(0, 1.5)  # type: ignore[arg-type]
