"""Folders named train, val and test: which of them to train on, and which images are held out."""

import posixpath
from collections.abc import Sequence
from typing import NamedTuple

from ddpm.system.errors import InputError
from ddpm.system.filenames import nfc
from ddpm.system.names import suggest

TRAIN, VAL, TEST, ALL = "train", "val", "test", "all"
NAMED = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VAL),
    **dict.fromkeys(("test", "testing"), TEST),
}
"""Names of folders, in lower case, and the split that each stands for."""


class Split(NamedTuple):
    """The images to use.

    Attributes:
        training, validation: Their names; those of validation are held out.
        above: The number of folders above those that may be classes.
        left_out: The beginnings of the names of all other images.
        notes: What was found.
    """

    training: list[str]
    validation: list[str]
    above: int
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def chosen(images: Sequence[str], split: str | None, where: str) -> Split:
    """The images of a split: without a choice, of train if there are folders train and val or test, else all.

    Args:
        images: Names in order.
        split: train, val, test, the name of another folder next to these, or "all".

    Raises:
        InputError: if there is no such split.
    """
    depth = below(images)
    folders: dict[str, list[str]] = {}
    for name in images:
        folders.setdefault(_part(name, depth), []).append(name)
    kinds = {folder: NAMED.get(folder.lower(), folder) for folder in folders}
    shared = images[0].split("/")[:depth]
    several = TRAIN in kinds.values() and len({TRAIN, VAL, TEST} & {*kinds.values()}) > 1 and "" not in kinds
    if not several and (split in (None, ALL) or split in (*shared, *(NAMED.get(one.lower()) for one in shared))):
        return Split([*images], [], depth, (), ())
    if split is not None and split != ALL and split not in (*kinds, *kinds.values()):
        known = sorted({*kinds.values()} - {""}) if several else []
        found = suggest(split, [*known, ALL]) if known else "; its folders are not splits: drop --split"
        raise InputError("unknown", f"{where} has no folder for --split {split}{found}")
    wanted = split or TRAIN
    own = [folder for folder in folders if wanted in (ALL, folder, kinds[folder])]
    training = [name for folder in own for name in folders[folder]]
    held, why = [folder for folder in folders if kinds[folder] == VAL and wanted == TRAIN], ""
    classes = {nfc(_part(name, depth + 1)) for name in training}
    validation = [name for folder in held for name in folders[folder]]
    if unknown := {nfc(_part(name, depth + 1)) for name in validation} - classes:
        held, validation, why = [], [], f", as {', '.join(held)} has images of other classes ({min(unknown) or 'none'})"
    prefix = "/".join([*shared, ""])
    rest = [folder for folder in folders if folder not in (*own, *held)]
    notes = f"splits {', '.join(folders)}: {len(training):,} images of {', '.join(own)}"
    notes += f", {len(validation):,} of {', '.join(held)} are held out" if held else ""
    notes += f"; {', '.join(rest)} left out{why} (--split chooses another)" if rest else ""
    return Split(training, validation, depth + 1, tuple(f"{prefix}{folder}/" for folder in rest), (notes,))


def below(names: Sequence[str]) -> int:
    """The number of nested folders that contain all names."""
    folders = [posixpath.dirname(name).split("/") for name in names]
    low, high = min(folders), max(folders)
    return next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))


def _part(name: str, depth: int) -> str:
    """The folder of a name at this depth; "" if there is none."""
    folders = name.split("/")[:-1]
    return folders[depth] if len(folders) > depth else ""
