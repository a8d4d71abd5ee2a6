"""Features of captions: encoded once, resumed after a kill, never those of another encoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from ddpm.system.cache import captions_folder
from ddpm.text.cached import CachedFeatures, cached_features
from ddpm.text.encoder import CaptionEncoder
from ddpm.text.pretrained import PretrainedEncoder, load_encoder
from refusal import refuses
from text_encoders import WORDS, save_encoder

CAPTIONS = [f"{a} {b}" for a in WORDS for b in WORDS] + ["a (red:3) cat\nthe house", "", "dog", "dog"]
DISTINCT = len(WORDS) ** 2 + 2
LENGTH = 12


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> PretrainedEncoder:
    return load_encoder(str(save_encoder(tmp_path_factory.mktemp("bert"))), torch.device("cpu"), LENGTH)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DDPM_CACHE", str(tmp_path))
    monkeypatch.setattr("ddpm.text.cached.CHUNK", 50)
    return tmp_path


class Counted:
    """An encoder that counts prompts and is killed after some."""

    def __init__(self, encoder: PretrainedEncoder, most: int = 10**6) -> None:
        self.encoder, self.tokens, self.seen, self.most = encoder, encoder.tokens, 0, most

    def __call__(self, prompts: Sequence[str]) -> npt.NDArray[np.float32]:
        if self.seen >= self.most:
            raise KeyboardInterrupt
        self.seen += len(prompts)
        return self.encoder(prompts)


def made(load: object, captions: Sequence[str] = CAPTIONS, key: str = "k") -> CachedFeatures:
    return cached_features(captions, key, 16, LENGTH, load)  # type: ignore[arg-type]


def never() -> PretrainedEncoder:
    raise AssertionError("the encoder was loaded")


def test_known_captions_are_read_without_the_encoder(encoder: PretrainedEncoder) -> None:
    first = Counted(encoder)
    made(lambda: first)
    assert first.seen == DISTINCT
    cached = made(never, CAPTIONS[::-1])
    lines = ["the house", "a (red:3) cat", "", "red cat"]
    found, exact = CaptionEncoder(cached)(lines), CaptionEncoder(encoder)(lines)
    assert (found.shape, found.dtype) == (exact.shape, exact.dtype)
    np.testing.assert_array_equal(found, exact.astype(np.float16))
    np.testing.assert_array_equal(found[..., -1], exact[..., -1])


def test_unknown_prompts_load_the_encoder_once(encoder: PretrainedEncoder) -> None:
    made(lambda: encoder)
    loads = []

    def load() -> PretrainedEncoder:
        loads.append(1)
        return encoder

    cached = made(load)
    assert cached.net is None
    for _ in range(2):
        found = cached(["red cat", "a (red:1.3) cat"])
        np.testing.assert_array_equal(found[1], encoder(["a (red:1.3) cat"])[0])
    assert len(loads) == 1
    assert cached.net is encoder.net


def test_a_killed_call_is_resumed(encoder: PretrainedEncoder, cache: Path) -> None:
    whole = made(lambda: encoder).features.copy()
    for file in cache.rglob("features.f16"):
        file.unlink()
    with pytest.raises(KeyboardInterrupt):
        made(lambda: Counted(encoder, 50))
    (draft,) = cache.rglob("*.draft")
    with draft.open("ab") as file:  # and it was writing
        file.write(b"half a caption")
    rest = Counted(encoder)
    np.testing.assert_array_equal(made(lambda: rest).features, whole)
    assert rest.seen == DISTINCT - 50
    assert not draft.exists()


def test_two_at_once_write_the_same(encoder: PretrainedEncoder, cache: Path) -> None:
    """One is overtaken by another, which starts where it is, and finishes first."""
    other = Counted(encoder)

    class Overtaken(Counted):
        def __call__(self, prompts: Sequence[str]) -> npt.NDArray[np.float32]:
            if self.seen == 50:
                made(lambda: other)
            return super().__call__(prompts)

    slow = Overtaken(encoder)
    features = made(lambda: slow).features
    assert (slow.seen, other.seen) == (100, DISTINCT - 50)
    np.testing.assert_array_equal(features, made(never).features)
    assert not list(cache.rglob("*.draft"))


def test_another_encoder_length_or_captions_have_their_own(encoder: PretrainedEncoder) -> None:
    made(lambda: encoder)
    for changed in ({"key": "other"}, {"captions": CAPTIONS[1:]}):
        again = Counted(encoder)
        made(lambda again=again: again, **changed)
        assert again.seen > 0
    assert captions_folder("k", 12, "c") != captions_folder("k", 16, "c")


def test_damage_is_repaired(encoder: PretrainedEncoder, cache: Path) -> None:
    whole = made(lambda: encoder).features.copy()
    for name, content in (("ends.npy", b"damaged"), ("features.f16", b"short")):
        (file,) = cache.rglob(name)
        file.write_bytes(content)
        np.testing.assert_array_equal(made(lambda: encoder).features, whole)


def test_no_captions_at_all(encoder: PretrainedEncoder) -> None:
    assert not made(never, [""])(["", " "]).any()
    assert made(lambda: encoder, [])(["a cat"]).any()


def test_features_beyond_float16_are_refused(encoder: PretrainedEncoder) -> None:
    class Large(Counted):
        def __call__(self, prompts: Sequence[str]) -> npt.NDArray[np.float32]:
            return 1e6 * super().__call__(prompts)

    with refuses("invalid", "float16"):
        made(lambda: Large(encoder))


def test_a_full_disk_is_one_line(encoder: PretrainedEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddpm.system.cache.disk_usage", lambda folder: type("usage", (), {"free": 10}))
    with refuses("unwritable", "captions", "DDPM_CACHE"):
        made(lambda: encoder)
