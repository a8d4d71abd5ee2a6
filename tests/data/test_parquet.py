import json
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm.data.cache import prepare
from ddpm.data.open import open_source
from ddpm.images.decode import decode
from ddpm.images.geometry import Geometry
from refusal import refuses

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
Make = Callable[..., bytes]
CLASSES = {"label": {"names": ["dog", "cat", "ape"], "_type": "ClassLabel"}}


def write(path: Path, columns: dict[str, list], features: dict | None = None) -> Path:
    """A file as Hugging Face's datasets write it, in row groups of 4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=4)
    return path


def picture(data: bytes | None) -> dict[str, bytes | str | None]:
    return {"bytes": data, "path": "a.png"}


@pytest.fixture
def hub(tmp_path: Path, png: Make) -> Path:
    """Two files of 10 images for training and one for tests, as a data set of the Hub has them."""
    for split, numbers in (("train", (0, 1)), ("test", (0,))):
        for k in numbers:
            rows = range(10 * k, 10 * k + 10)
            columns = {
                "image": [picture(png(i, mode="RGB")) for i in rows],
                "label": [i % 3 for i in rows],
                "text": [f"image {i}" for i in rows],
                "url": ["…"] * 10,
            }
            write(tmp_path / "hub" / "data" / f"{split}-{k:05}-of-{len(numbers):05}.parquet", columns, CLASSES)
    return tmp_path / "hub"


def test_a_data_set_of_the_hub_is_read_as_it_is(hub: Path, png: Make) -> None:
    source = open_source(hub)
    assert (len(source), source.classes) == (20, ("ape", "cat", "dog"))
    assert "--split" in source.notes[0]
    assert (source.items[13].label, source.items[13].caption) == ("cat", "image 13")
    assert source.items[13].name == "train-00001-of-00002.parquet/3"
    pixels = prepare(source, Geometry()).read(np.array([19, 3, 11]))
    assert np.array_equal(pixels, [decode(png(i, mode="RGB"))[0] for i in (19, 3, 11)])
    assert len(open_source(hub, "test")) == 10


def test_bytes_alone_and_cells_without(tmp_path: Path, png: Make) -> None:
    path = write(tmp_path / "a.parquet", {"jpg": [png(0), png(1), None], "caption": [["red", "round"], None, []]})
    data = prepare(open_source(path), Geometry(), skip_bad=True)
    assert (len(data), data.labels, list(data.names)) == (2, None, ["0", "1"])
    assert list(data.captions or ()) == ["red\nround", ""]


def test_what_is_no_set_of_images(tmp_path: Path) -> None:
    with refuses("invalid", "no column 'image'", "url"):
        open_source(write(tmp_path / "a.parquet", {"url": ["a"]}))
    with refuses("invalid", "image"):
        open_source(write(tmp_path / "b.parquet", {"image": ["a path"]}))
    (tmp_path / "c.parquet").write_bytes(b"PAR1 nonsense")
    with refuses("unreadable", "c.parquet"):
        open_source(tmp_path / "c.parquet")


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_rows_are_bad_images(tmp_path: Path, png: Make, workers: int) -> None:
    """Those of one row group, in this process and in others, and whether they are streamed or not."""
    path = write(tmp_path / "a.parquet", {"image": [picture(png(i)) for i in range(8)], "label": [0, 1] * 4})
    source, data = open_source(path), bytearray(path.read_bytes())
    begin = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data[begin : begin + 64] = b"?" * 64
    path.write_bytes(data)
    with refuses("unreadable", "4 of 8", "row group 1") as refused:
        prepare(source, Geometry(), workers=workers)
    assert "\n" not in str(refused.value)
    assert np.array_equal(prepare(source, Geometry(), skip_bad=True, workers=workers).labels, [0, 1] * 2)
    streamed = prepare(replace(source, streamed=True), Geometry((4, 4), "L"))
    assert streamed.take(np.arange(8))[1].tolist() == [0, 1, 2, 3, 0, 0, 0, 0]
    some = streamed.subset(np.array([1, 3])).sample(9)  # a set of its own, of which nothing else is read
    assert (len(some.pixels), some.rows) == (2, None)


def test_other_images_of_the_same_sizes_are_read(tmp_path: Path) -> None:
    def key(shade: int) -> str:
        image = BytesIO()
        Image.new("L", (4, 4), shade).save(image, "BMP")
        return open_source(write(tmp_path / "a.parquet", {"image": [picture(image.getvalue())] * 3})).key

    assert key(10) != key(200)
