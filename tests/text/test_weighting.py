"""The grammar of prompts: parts, weights and plain parentheses."""

from hypothesis import given
from hypothesis import strategies as st

from cases import cases
from ddpm.text.weighting import MOST, escape, parse
from refusal import refuses

TEXTS = st.text("ab :1.,-\\()\n ♥é", max_size=12)
PLAIN = st.text("ab .\n♥é", min_size=1, max_size=6)
WEIGHTS = st.integers(-200, 200).map(lambda n: n / 100)


@cases(
    ("prompt", "parts"),
    [
        ("", []),
        ("a red heart", [("a red heart", 1)]),
        ("a (red:1.3) heart", [("a ", 1), ("red", 1.3), (" heart", 1)]),
        ("(red heart: .5 )", [("red heart", 0.5)]),
        ("(not this:-1)", [("not this", -1)]),
        ("(a (b:2):3)", [("a ", 3), ("b", 6)]),
        ("(a (b) c:2)", [("a (b) c", 2)]),
        ("(3:45 pm:2)", [("3:45 pm", 2)]),
        ("smile (yellow)", [("smile (yellow)", 1)]),
        (r"\(red:1.3\) (heart:2)", [("(red:1.3) ", 1), ("heart", 2)]),
        (r"(a \(b\):2)", [("a (b)", 2)]),
        ("(open: 1.3", [("(open: 1.3", 1)]),
        (":) 1.3) :1.3)", [(":) 1.3) :1.3)", 1)]),
        ("(red:bold) (red:) (red:1.3.1)", [("(red:bold) (red:) (red:1.3.1)", 1)]),
        ("(:2)", []),
        ("a(b:1)c", [("abc", 1)]),
    ],
)
def test_parts(prompt, parts):
    assert parse(prompt) == parts


@given(TEXTS)
def test_an_escaped_text_is_read_as_it_is(text):
    assert parse(escape(text)) == ([(text, 1)] if text else [])


@given(TEXTS)
def test_any_text_is_a_prompt(text):
    """With weights that are small enough: no sign is an error."""
    try:
        parts = parse(text)
    except ValueError:
        return
    assert all(part and abs(weight) <= MOST for part, weight in parts)
    # what is read stands in the prompt in this order
    signs = iter(text)
    assert all(sign in signs for part, _ in parts for sign in part)


@given(PLAIN, WEIGHTS, TEXTS.map(escape))
def test_parts_are_weighted_each_alone(text, weight, rest):
    weighted = parse(f"({text}:{weight}){rest}")
    alone = parse(rest)
    assert weighted == ([(text + alone[0][0], 1)] if alone and weight == 1 else [(text, weight), *alone])


@given(PLAIN, PLAIN, WEIGHTS, WEIGHTS)
def test_nested_weights_multiply(outer, inner, one, other):
    parts = [(outer, one), (inner, other * one)]
    merged = [(outer + inner, one)] if one == other * one else parts
    assert parse(f"({outer}({inner}:{other}):{one})") == merged


def test_weights_out_of_range():
    with refuses("invalid", "at 3", "45"):
        parse("a view (at 3:45)")
    with refuses("invalid", "b"):
        parse("(a (b:5):5)")
    assert parse(f"(a:{MOST})(b:-{MOST})") == [("a", MOST), ("b", -MOST)]
