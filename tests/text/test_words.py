"""Prompts as tokens of a run's own words."""

import pickle
from collections import Counter
from dataclasses import replace
from string import ascii_lowercase

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cases import cases
from ddpm.text.encoder import CaptionEncoder
from ddpm.text.vocabulary import MOST_WORDS, RESERVED, SPELLED, UNKNOWN, Vocabulary, words_of
from ddpm.text.weighting import escape
from ddpm.text.words import WordEncoder

CAPTIONS = ["a red heart", "A red car", "a blue heart!", "blue bird", "", "café (3:45)\na rare café at 3", "the Straße"]
ENCODER = WordEncoder.of(CAPTIONS)
NAMES = st.text("abcdeé雪♥ ", max_size=20)


def decoded(known: Vocabulary, tokens: list[int]) -> list[str]:
    """The words of some tokens, a character never seen as "?"."""
    found: list[str] = []
    for token in tokens:
        if token == SPELLED:
            found.append("")
        elif token == UNKNOWN:
            found[-1] += "?"
        elif token < RESERVED + len(known.characters):
            found[-1] += known.characters[token - RESERVED]
        else:
            found.append(known.words[token - RESERVED - len(known.characters)])
    return found


def read(encoder: WordEncoder, prompt: str) -> list[str]:
    ids, weights = encoder([prompt])[0].T
    return decoded(encoder.known, [int(i) for i in ids[weights != 0]])


def test_cut_captions_are_counted():
    """Each of several captions of an image by itself, and equal ones once."""
    long, short = " ".join(["red"] * 70), " ".join(["red"] * 64)
    assert WordEncoder.of([long, short, f"{long}\n{short} heart"]).cut([long, short, f"{long}\n{short} heart"]) == 2
    assert WordEncoder.of([short, "red"]).cut([short, "red"]) == 0


@cases(
    ("text", "words"),
    [
        ("Red  heart,\nred\tHEART", ["red", "heart", ",", "red", "heart"]),
        ("Straße ﬁne ２", ["strasse", "fine", "2"]),  # case folding, a ligature, a full-width digit
        ("cafe\u0301 café", ["café", "café"]),
        ("❤\ufe0f soft\u00adly", ["❤", "softly"]),
        ("红色的 heart", ["红", "色", "的", "heart"]),  # no spaces between its words, so each character is one
        ("赤い猫2匹", ["赤", "い", "猫", "2", "匹"]),
        ("लाल दिल, قَلْب", ["लाल", "दिल", ",", "قَلْب"]),  # whose vowels are marks
        ("don't snake_case", ["don", "'", "t", "snake_case"]),
        ("\ud83d \u2028", []),
    ],
)
def test_words(text, words):
    assert words_of(text) == words


def test_words_of_several_captions_are_whole_and_others_are_spelled():
    assert ENCODER.vocabulary.split() == ["a", "3", "blue", "café", "heart", "red"]
    assert [len(ENCODER.known.tokens(word)) for word in ("a", "red", "bird", "b", "☃")] == [1, 1, 5, 2, 2]
    assert set(ascii_lowercase + "0123456789!():é") == set(ENCODER.characters)


@given(st.lists(NAMES, max_size=8))
def test_nothing_in_a_caption_is_unknown(captions):
    encoder = WordEncoder.of(captions)
    for caption in captions:
        words = words_of(caption)
        tokens = [token for word in words for token in encoder.known.tokens(word)]
        assert decoded(encoder.known, tokens) == words
        assert all(0 < token < encoder.size for token in tokens)
        assert len(tokens) <= encoder.length or encoder.length == 64
        assert read(encoder, escape(caption)) == decoded(encoder.known, tokens[: encoder.length])


@given(st.lists(st.text("ab ", max_size=6), min_size=2, max_size=2))
def test_different_words_are_different_tokens(texts):
    one, other = texts
    assert (words_of(one) == words_of(other)) == np.array_equal(*ENCODER(texts))


@given(st.permutations(CAPTIONS))
def test_the_order_of_captions_makes_no_difference(captions):
    assert WordEncoder.of(captions) == ENCODER


def test_the_most_frequent_words_come_first():
    captions = [f"w{i} common" for i in range(MOST_WORDS + 5) for _ in range(2 + (i == 3))]
    words = Vocabulary.of(Counter(captions)).words
    assert words[:2] == ("common", "w3")
    assert len(words) == MOST_WORDS


def test_a_word_often_in_one_caption_is_rare():
    assert WordEncoder.of(["tick tick tick", "tock\ntock"]).vocabulary == "tock"


@cases(
    ("longest", "length"),
    [(0, 8), (8, 8), (9, 16), (63, 64), (64, 64), (65, 64), (500, 64)],
)
def test_the_length_is_that_of_the_longest_caption(longest, length):
    assert WordEncoder.of(["a", "a " * longest]).length == length


@given(NAMES.map(escape), NAMES.map(escape))
def test_a_word_of_weight_0_is_absent(one, other):
    assert np.array_equal(*ENCODER([f"{one} (red bird:0) {other}", f"{one} {other}"]))


@given(st.lists(NAMES.map(escape), min_size=1, max_size=5))
def test_a_prompt_is_encoded_alike_alone_and_beside_others(prompts):
    together = ENCODER(prompts)
    assert together.dtype == np.float32
    assert together.shape == (len(prompts), ENCODER.length, 2)
    assert all(np.array_equal(ENCODER([prompt])[0], row) for prompt, row in zip(prompts, together, strict=True))


def test_weights():
    ids, weights = ENCODER(["a (red:1.5) heart"])[0].T
    assert weights.tolist() == [1, 1.5, 1] + [0] * (ENCODER.length - 3)
    assert ids.tolist() == ENCODER(["a red heart"])[0, :, 0].tolist()
    assert not ENCODER(["", "(red:0)", "(red:0.000000000000000000000000000000000000000000000001)"]).any()


def test_what_is_encoded_is_a_copy():
    ENCODER(["a red heart"])[:] = 7
    assert ENCODER(["a red heart"])[0, 0, 1] == 1


def test_captions_weigh_nothing():
    assert read(ENCODER, escape("café (3:45)")) == ["café", "(", "3", ":", "45", ")"]
    found = CaptionEncoder(ENCODER)(["café (3:45)", r"a \(red:1.3\)"])
    assert np.array_equal(found, ENCODER([r"café \(3:45\)", r"a \\\(red:1.3\\\)"]))
    assert set(found[..., 1].ravel()) == {0, 1}


def test_notes_name_the_nearest_known_words():
    (line,) = replace(ENCODER, length=64).notes("a hart and a (blu:2) ☃")
    assert line.startswith("rare or unknown words")
    for named in ("'hart' (did you mean 'heart'?)", "'blu' (did you mean 'blue'?)", "'and'", "'☃'"):
        assert named in line
    assert ENCODER.notes("a red HEART") == ENCODER.notes("") == []


def test_notes_say_where_a_prompt_is_cut():
    length = ENCODER.length
    assert ENCODER.notes("red " * length) == []
    (line,) = ENCODER.notes("a " * (length - 2) + "red heart blue blue")
    assert f"{length + 2} tokens" in line
    assert "'a a red heart'" in line
    _, line = ENCODER.notes("red " * (length - 3) + "bird blue")
    assert "'red red red bi…'" in line
    assert read(ENCODER, "red " * (length - 3) + "bird blue")[-1] == "bi"


def test_encoders_can_be_sent_to_other_processes():
    ENCODER(["a"])
    sent = pickle.loads(pickle.dumps(CaptionEncoder(ENCODER)))
    assert np.array_equal(sent(CAPTIONS), CaptionEncoder(ENCODER)(CAPTIONS))
