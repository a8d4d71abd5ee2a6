import numpy as np
from PIL import Image

from .conftest import noise


def test_pictures_of_one_size_are_drawn_together_and_come_back_in_their_order(pipeline):
    photos = [noise("L", size, seed) for seed, size in enumerate([(8, 8), (8, 12), (8, 8), (9, 8), (8, 12)])]
    mask = [Image.fromarray(np.uint8(255 * (np.indices(photo.size[::-1])[0] > 4))) for photo in photos]
    labels, told = ["circle", "star", "square", "circle", "square"], []

    def drawn(batch):
        how = {"label": labels, "n": 2, "seed": 5, "solver": "ancestral", "method": "ddnm"}
        made = pipeline("L").inpaint(photos, mask, batch=batch, progress=lambda *now: told.append(now), **how)
        return [image.tobytes() for image in made]

    together = drawn(64)
    # three sizes, of three steps
    assert told == [(i, 9) for i in range(1, 10)]
    told.clear()
    assert drawn(1) == together
    assert told == [(i, 30) for i in range(1, 31)]
    assert len(set(together)) == 10
    # as they are where all are of one size: a function of the seed and the number alone
    two = pipeline("L").inpaint(photos[0], mask[0], label="circle", n=2, seed=5, solver="ancestral", method="ddnm")
    assert [image.tobytes() for image in two] == together[:2]
