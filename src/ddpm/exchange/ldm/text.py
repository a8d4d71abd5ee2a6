"""The text encoder of Stable Diffusion 1."""

import json
from pathlib import Path

from safetensors.torch import save as tensors_to_bytes

from ddpm.exchange.tensors import ForeignTensors
from ddpm.exchange.text import KIND, StoredText, stored_text, tokenizer_files
from ddpm.system.files import with_home
from ddpm.text.folder import CONFIG, WEIGHTS

HEAD_WIDTH = 64
"""The width of an attention head of CLIP's encoders."""


def read_text(tensors: ForeignTensors, tokenizer: Path, inferred: list[str]) -> StoredText:
    """The text encoder of a model, with a tokenizer from elsewhere.

    Args:
        tensors: its own, which have the names of transformers.
        tokenizer: a folder with the files of a tokenizer, or a pipeline of diffusers.
        inferred: receives a line about what no file states.

    Raises:
        InputError: it is no text encoder of CLIP, or the tokenizer does not fit.
    """
    inner = with_home(tokenizer) / "tokenizer"
    files = tokenizer_files(inner if inner.is_dir() else inner.parent)
    width = tensors.shape("text_model.embeddings.token_embedding.weight")[1]
    layers = 0
    while f"text_model.encoder.layers.{layers}.layer_norm1.weight" in tensors:
        layers += 1
    heads = max(1, width // HEAD_WIDTH)
    settings = {
        "architectures": ["CLIPTextModel"],
        "model_type": KIND,
        "hidden_size": width,
        "intermediate_size": tensors.shape("text_model.encoder.layers.0.mlp.fc1.weight")[0],
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": tensors.shape("text_model.embeddings.position_embedding.weight")[0],
        "vocab_size": tensors.shape("text_model.embeddings.token_embedding.weight")[0],
    }
    inferred.append(f"the text encoder has {heads} attention heads of {width // heads}, as CLIP ViT-L/14")
    weights = tensors_to_bytes({name: tensors.take(name).contiguous() for name in tensors.names()}, {"format": "pt"})
    text = json.dumps(settings, indent=2).encode()
    return stored_text({CONFIG: text, WEIGHTS: weights, **files}, f"the text encoder of {tensors.source}")
