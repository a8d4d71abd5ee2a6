"""Tiny text encoders of each known type with random weights, saved as published ones are."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import transformers

WORDS = ["a", "red", "blue", "small", "cat", "dog", "house", "with", "and", "on", "the"]
SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
POSITIONS = 24
"""The most tokens that any of them reads, but for T5, whose tokenizer says so."""


def save_encoder(folder: Path, kind: str = "bert", seed: int = 0) -> Path:
    """Save a network of this kind and its tokenizer; return the folder.

    Args:
        kind: a model type; "clip" has an image tower also.
    """
    make, tokenizer = KINDS[kind]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokens = tokenizer()
        net = make(len(tokens), tokens)
        for parameter in net.parameters():  # far from zero, so that features differ from prompt to prompt
            torch.nn.init.normal_(parameter, std=0.3)
    net.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def _numbered(pieces: Iterable[str]) -> dict[str, int]:
    return {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}


def _wordpiece() -> Any:
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *"abcdefghijklmnopqrstuvwxyz()"]
    vocab += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    return transformers.BertTokenizer(_numbered(vocab), model_max_length=POSITIONS)


def _mpnet() -> Any:
    vocab = ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>", *WORDS, *"abcdefghijklmnopqrstuvwxyz"]
    return transformers.MPNetTokenizer(_numbered(vocab))


def _merged(word: str, start: str, end: str) -> list[tuple[str, str]]:
    """The merges of letters into a word, from the left."""
    letters = [start + word[0], *word[1:]]
    letters[-1] += end
    return [("".join(letters[:i]), letters[i]) for i in range(1, len(letters))]


def _bpe(start: str, end: str, special: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    merges = dict.fromkeys(pair for word in WORDS for pair in _merged(word, start, end))
    letters = [*"abcdefghijklmnopqrstuvwxyz()", start or "_"]
    parts = [part for pair in merges for part in (*pair, "".join(pair))]
    return _numbered([*special, *letters, *(letter + end for letter in letters), *parts]), list(merges)


def clip_tokenizer(**settings: Any) -> Any:
    vocab, merges = _bpe("", "</w>", ["<|startoftext|>", "<|endoftext|>"])
    return transformers.CLIPTokenizer(vocab, merges, **settings)


def _roberta_tokenizer() -> Any:
    vocab, merges = _bpe("Ġ", "", ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    return transformers.RobertaTokenizer(vocab, [*[("Ġ", word[0]) for word in WORDS], *merges])


def _unigram() -> Any:
    pieces = ["<pad>", "</s>", "<unk>", "▁", *(f"▁{word}" for word in WORDS), *"abcdefghijklmnopqrstuvwxyz"]
    vocab = [(piece, -float(i)) for i, piece in enumerate(pieces)]
    return transformers.T5Tokenizer(vocab, extra_ids=0, model_max_length=POSITIONS)


def _xlm() -> Any:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *(f"▁{word}" for word in WORDS), *"abcdefghijklmnopqrstuvwxyz"]
    return transformers.XLMRobertaTokenizer([(piece, -float(i)) for i, piece in enumerate(pieces)])


def _bert(size: int, tokens: Any) -> Any:
    config = transformers.BertConfig(**SMALL, vocab_size=size, max_position_embeddings=POSITIONS)
    return transformers.BertModel(config)


def _distilbert(size: int, tokens: Any) -> Any:
    config = transformers.DistilBertConfig(
        vocab_size=size, dim=16, hidden_dim=32, n_layers=2, n_heads=2, max_position_embeddings=POSITIONS
    )
    return transformers.DistilBertModel(config)


def _after_padding(name: str) -> Callable[[int, Any], Any]:
    """A network whose first position has the number after that of the padding token."""

    def make(size: int, tokens: Any) -> Any:
        ids = {key: getattr(tokens, key) for key in ("pad_token_id", "bos_token_id", "eos_token_id")}
        positions = POSITIONS + ids["pad_token_id"] + 1
        config = getattr(transformers, f"{name}Config")(**SMALL, **ids, vocab_size=size)
        config.max_position_embeddings = positions
        return getattr(transformers, f"{name}Model")(config)

    return make


def _t5(size: int, tokens: Any) -> Any:
    config = transformers.T5Config(vocab_size=size, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    return transformers.T5ForConditionalGeneration(config)  # its decoder is left out


def _clip_text(size: int, tokens: Any) -> Any:
    config = transformers.CLIPTextConfig(
        **SMALL,
        vocab_size=size,
        projection_dim=12,
        max_position_embeddings=POSITIONS,
        **{key: getattr(tokens, key) for key in ("pad_token_id", "bos_token_id", "eos_token_id")},
    )
    return transformers.CLIPTextModel(config)


def _clip(size: int, tokens: Any) -> Any:
    images = transformers.CLIPVisionConfig(**SMALL, image_size=32, patch_size=16, projection_dim=12)
    texts = _clip_text(size, tokens).config
    config = transformers.CLIPConfig(
        text_config=texts.to_dict(), vision_config=images.to_dict(), projection_dim=12, logit_scale_init_value=2.0
    )
    return transformers.CLIPModel(config)


KINDS: dict[str, tuple[Callable[[int, Any], Any], Callable[[], Any]]] = {
    "bert": (_bert, _wordpiece),
    "clip": (_clip, clip_tokenizer),
    "clip_text_model": (_clip_text, clip_tokenizer),
    "distilbert": (_distilbert, _wordpiece),
    "mpnet": (_after_padding("MPNet"), _mpnet),
    "roberta": (_after_padding("Roberta"), _roberta_tokenizer),
    "t5": (_t5, _unigram),
    "xlm-roberta": (_after_padding("XLMRoberta"), _xlm),
}
