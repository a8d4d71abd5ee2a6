import json
from pathlib import Path

from ddpm.records.run_folder import RunFolder
from ddpm.serve.progress import progress


def test_progress_of_a_log_that_is_being_written(tmp_path: Path) -> None:
    events = [
        {"kind": "start", "of": 1000},
        {"kind": "train", "images": 10, "loss": float("nan"), "images_per_s": 5},
        {"kind": "train", "images": 20, "loss": 0.5, "images_per_s": 6, "eta_s": 30},
        {"kind": "preview", "images": 20, "path": "/home/someone/runs/x/previews/20.png"},
    ]
    lines = "\n".join(map(json.dumps, events))
    RunFolder(tmp_path).log.write_text(f'{lines}\n[1]\nnot JSON\n{{"kind": "train", "ima')
    found = progress(RunFolder(tmp_path))
    assert (found["images"], found["of"], found["images_per_s"], found["preview"]) == (20, 1000, 6, "20.png")
    assert found["loss"][-1] == [20, 0.5]
    json.dumps(found, allow_nan=False)
