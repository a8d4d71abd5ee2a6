"""The CLIP score: how well images agree with their captions under a CLIP model (Hessel et al. 2021)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from ddpm.metrics.estimate import Estimate, interval, resamples
from ddpm.metrics.features import vision
from ddpm.metrics.features.vision import Vision
from ddpm.system.errors import InputError
from ddpm.system.files import with_home
from ddpm.system.pretrained import import_transformers, loading, read_network
from ddpm.text.folder import CONFIG, VOCABULARIES, WEIGHTS

PIECE = 32
"""The captions that are embedded at a time."""
REPLICATES = 1000
ADVICE = f"use --clip FOLDER with a whole CLIP model: {CONFIG}, {WEIGHTS} and a tokenizer"
"""The fix for a folder that is no CLIP model."""


@dataclass(frozen=True)
class Clip:
    """A CLIP model with both towers, computed in float32.

    Attributes:
        images: the embeddings of images, not normalised.
        net: of transformers.
        tokenizer: of transformers.
        length: the most tokens of a caption; those after them are cut off, but not the special token at the end.
    """

    images: Vision
    net: Any
    tokenizer: Any
    length: int

    @torch.no_grad()
    def captions(self, captions: Sequence[str]) -> torch.Tensor:
        """The embeddings of captions, (N, D) float32, on the CPU, not normalised."""
        pieces = []
        for first in range(0, len(captions), PIECE):
            tokens = self.tokenizer(
                list(captions[first : first + PIECE]),
                padding="max_length",  # so that a caption is rounded alike next to longer ones
                truncation=True,
                max_length=self.length,
                return_tensors="pt",
            )
            ids, mask = (tokens[key].to(self.net.device) for key in ("input_ids", "attention_mask"))
            hidden = self.net.text_model(input_ids=ids, attention_mask=mask).pooler_output
            pieces.append(self.net.text_projection(hidden).cpu())
        return torch.cat(pieces)

    def cosines(self, images: torch.Tensor, captions: Sequence[str]) -> torch.Tensor:
        """The cosine similarity of each image, (N, H, W, C) uint8, and its caption, (N,) float64."""
        return F.cosine_similarity(self.images(images).double(), self.captions(captions).double(), dim=-1)


def clip_score(cosines: torch.Tensor) -> Estimate:
    """``max(100 · mean cos, 0)`` of images and their captions, 0 to 100, with an interval from resampling the images.

    The scale is that of torchmetrics and of most papers on text-to-image models. Hessel et al. 2021 (eq. 1) take
    ``2.5 · max(cos, 0)`` of each pair, which is 1 / 40 of it unless there are negative ones.
    """
    counts = resamples(len(cosines), REPLICATES).double()
    found = interval(100 * float(cosines.mean()), 100 * (counts @ cosines.double()) / len(cosines), 0, 100)
    return found.model_copy(update={"value": max(0.0, found.value), "high": max(0.0, found.high)})


def load_clip(source: str, device: torch.device) -> Clip:
    """Load a CLIP model from a folder, as ``save_pretrained`` of transformers writes it. Nothing is downloaded.

    Images are resized to the model's square without cropping; see :func:`ddpm.metrics.features.vision.prepared`.

    Raises:
        InputError: transformers is not installed; or the folder is missing, damaged, or no whole CLIP model.
    """
    transformers, path = import_transformers("CLIP models", "features"), with_home(source)
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "not found"
        raise InputError("missing", f"CLIP model {source} {what}; {ADVICE}")
    if not any((path / name).is_file() for name in VOCABULARIES):
        raise InputError("missing", f"{source} has no tokenizer (such as {VOCABULARIES[0]}); {ADVICE}")
    with loading(source, ADVICE):
        local: Any = {"local_files_only": True, "trust_remote_code": False}
        config = transformers.AutoConfig.from_pretrained(str(path), **local)
        if config.model_type != "clip":
            raise InputError("incompatible", f"{source} is a network of type {config.model_type}, not clip; {ADVICE}")
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(path), **local)
        net = read_network(transformers.CLIPModel, str(path), local_files_only=True)
        tokens, known = max(tokenizer.get_vocab().values()) + 1, config.text_config.vocab_size
        if tokens > known:
            raise InputError(
                "incompatible",
                f"the tokenizer of {source} has {tokens} tokens, but its network {known}; use the network's own",
            )
        images = Vision(
            "clip",
            net,
            lambda x: net.visual_projection(net.vision_model(pixel_values=x).pooler_output),
            config.projection_dim,
            config.vision_config.image_size,
            vision.colours(source, vision.preprocessor(str(path)), *vision.CLIP_COLOURS),
            device,
        )
        clip = Clip(images, net, tokenizer, config.text_config.max_position_embeddings)
        clip.captions([""])  # a tokenizer of another kind fails here
    return clip
