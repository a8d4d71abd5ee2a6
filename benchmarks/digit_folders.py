"""Write scikit-learn's digits as two folders of class folders: ``train``, and ``test`` with a fifth of each class.

python benchmarks/digit_folders.py FOLDER
"""

import argparse
from pathlib import Path

import numpy as np

from ddpm.data.cache import prepare
from ddpm.data.open import open_source
from ddpm.images.geometry import Geometry
from ddpm.images.sheets import picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    digits = prepare(open_source("digits"), Geometry())
    assert digits.labels is not None
    for k, name in enumerate(digits.classes):
        for timestep, row in enumerate(np.flatnonzero(digits.labels == k)):
            file = folder / ("train" if timestep % 5 else "test") / name / f"{row:04d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            picture(digits.images[row]).save(file)


if __name__ == "__main__":
    main()
