"""Ways to draw beside what is known of a picture, in the same steps and in about the same time."""

from typing import Any

Ways = dict[str, dict[str, Any]]
"""Name -> keywords of ``Pipeline.inpaint``, ``outpaint`` and ``restore``."""

UNIPC: dict[str, Any] = {"solver": "unipc-2", "grid": "trailing", "steps": 20}
ANCESTRAL: dict[str, Any] = {"solver": "ancestral", "grid": "trailing", "steps": 50}

EXPECTED: Ways = {
    "MMPS, unipc-2, 20 steps": UNIPC,
    "MMPS, ancestral, 50 steps": ANCESTRAL,
    "DDNM, unipc-2, 20 steps": UNIPC | {"method": "ddnm"},
    "DDNM, unipc-2, 100 steps": UNIPC | {"method": "ddnm", "steps": 100},
    "DDNM, ancestral, 50 steps": ANCESTRAL | {"method": "ddnm"},
    "DDNM, ancestral, 250 steps": ANCESTRAL | {"method": "ddnm", "steps": 250},
}
"""Those that put it into the expected image."""

REPAINT: Ways = {
    "RePaint 1x5, unipc-2, 20 steps": UNIPC | {"repaint": "1x5"},
    "RePaint 5x5, ddim, 20 steps": {"solver": "ddim", "grid": "trailing", "steps": 20, "repaint": "5x5"},
}
"""Those that put it into the noisy one; for masks."""
