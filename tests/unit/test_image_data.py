"""Image data: every form reads back what was written, damaged files are refused in a sentence, splits are balanced."""

from __future__ import annotations

import contextlib
import gzip
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from hwbench import spaces
from hwbench.errors import CorruptFile, DataError
from hwbench.search import data
from hwbench.search.data import Dataset, Images, folders, idx, npz
from tests.table_files import mutate

TRIES = 200
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def encoded(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def arrays(seed: int, train: int = 12, test: int = 5) -> dict[str, NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return {
        "x_train": rng.integers(0, 256, (train, 4, 5), np.uint8),
        "y_train": (np.arange(train) % 3).astype(np.uint8),
        "x_test": rng.integers(0, 256, (test, 4, 5), np.uint8),
        "y_test": (np.arange(test) % 3).astype(np.uint8),
    }


def write_idx(folder: Path, values: dict[str, NDArray[np.uint8]], packed: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    for name, array in zip(FILES, values.values(), strict=True):
        content = encoded(array)
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content, mtime=0) if packed else content)
    return folder


def write_npz(path: Path, values: dict[str, NDArray[np.uint8]]) -> Path:
    np.savez_compressed(path, **values)  # type: ignore[arg-type]
    return path


def write_pictures(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            for number in range(2):
                picture = rng.integers(0, 256, (20, 30, 3), np.uint8)
                Image.fromarray(picture).save(folder / part / name / f"{number}.png")
    return folder


def assert_valid(found: Dataset) -> None:
    for part in (found.train, found.test):
        assert part.pixels.dtype == np.uint8
        assert part.pixels.shape == (len(part.labels), *found.shape)
        assert 0 <= part.labels.min() <= part.labels.max() < found.classes


@pytest.mark.parametrize("form", ["idx", "idx plain", "npz"])
def test_arrays_read_back(tmp_path: Path, form: str) -> None:
    values = arrays(1)
    path = (
        write_npz(tmp_path / "small.npz", values)
        if form == "npz"
        else write_idx(tmp_path / "idx", values, form == "idx")
    )
    found = data.load(path)
    assert found.shape == (4, 5, 1)
    assert found.classes == 3
    np.testing.assert_array_equal(found.train.pixels[..., 0], values["x_train"])
    np.testing.assert_array_equal(found.test.labels, values["y_test"])
    assert_valid(found)


def test_pictures_are_scaled_and_cropped_to_the_middle(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pets")
    found = data.load(folder, resolution=20, channels=3)
    assert found.shape == (20, 20, 3)
    np.testing.assert_array_equal(found.train.labels, [0, 0, 1, 1])
    with Image.open(folder / "train" / "dog" / "0.png") as picture:
        np.testing.assert_array_equal(found.train.pixels[2], np.asarray(picture)[:, 5:25])
    assert data.load(folder, resolution=8, channels=1).shape == (8, 8, 1)


@pytest.mark.parametrize("form", ["idx", "idx plain", "npz", "pictures"])
def test_damaged_files_are_refused_or_valid(tmp_path: Path, form: str) -> None:
    values = arrays(2)
    if form == "npz":
        path = victim = write_npz(tmp_path / "small.npz", values)
    elif form == "pictures":
        path = write_pictures(tmp_path / "pets")
        victim = path / "train" / "cat" / "1.png"
    else:
        path = write_idx(tmp_path / "idx", values, form == "idx")
        victim = next(path.glob(f"{FILES[0]}*"))
    content = victim.read_bytes()
    rng = random.Random(form)
    sentences = []
    for _ in range(TRIES):
        victim.write_bytes(mutate(content, rng))
        try:
            assert_valid(data.load(path, resolution=4))
        except DataError as error:
            sentences.append(str(error))
    assert sentences
    assert all(path.name in sentence for sentence in sentences)


@settings(max_examples=60, deadline=None)
@given(header=st.binary(max_size=24), body=st.binary(max_size=40), packed=st.booleans())
def test_no_bytes_make_an_idx_file_take_memory_or_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, header: bytes, body: bytes, packed: bool
) -> None:
    path = tmp_path_factory.mktemp("idx") / "file"
    content = b"\0\0\x08" + header + body
    path.write_bytes(gzip.compress(content) if packed else content)
    with contextlib.suppress(DataError):
        assert idx.read(path).nbytes <= len(content)


def test_a_header_that_claims_much_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    claims = b"\0\0\x08\x03" + struct.pack(">3I", 60000, 10000, 10000)
    path = tmp_path / "claims"
    path.write_bytes(claims)
    with pytest.raises(CorruptFile, match="claims 6000000000000 bytes"):
        idx.read(path)
    path.write_bytes(gzip.compress(claims))
    with pytest.raises(CorruptFile, match="claims 6000000000000 bytes"):
        idx.read(path)


def test_a_pickle_in_an_npz_is_not_executed(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "touched",))  # type: ignore[return-value]

    values = arrays(3)
    values["x_train"] = np.array([Touch()], object)  # type: ignore[assignment]
    np.savez(tmp_path / "hostile.npz", **values)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"hostile\.npz: the array x_train holds object"):
        npz.load(tmp_path / "hostile.npz")
    assert not (tmp_path / "touched").exists()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "idx", arrays(0))
    (folder / f"{FILES[3]}.gz").unlink()
    with pytest.raises(DataError, match="has no file t10k-labels-idx1-ubyte"):
        data.load(folder)
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    with pytest.raises(DataError, match="lacks the array x_train"):
        data.load(tmp_path / "empty.npz")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match=r"nothing holds no images.*train/<class>"):
        data.load(tmp_path / "nothing")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        data.load(tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "array", "sentence"),
    [
        ("y_train", np.array([0, 1], np.uint8), "12 images and 2 labels"),
        ("y_train", -np.ones(12, np.int8), "go from -1"),
        ("x_test", np.zeros((5, 4, 4), np.uint8), "differ in shape"),
        ("x_train", np.zeros((12, 4, 5), np.int16), "int16"),
    ],
)
def test_arrays_that_do_not_fit_each_other(tmp_path: Path, name: str, array: NDArray[np.uint8], sentence: str) -> None:
    path = write_npz(tmp_path / "wrong.npz", arrays(4) | {name: array})
    with pytest.raises(DataError, match=sentence):
        data.load(path)


def test_a_class_without_training_images_is_named(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pets")
    (folder / "test" / "emu").mkdir()
    with pytest.raises(DataError, match="emu is a class without training images"):
        folders.load(folder, 8, 3)


def test_fashion_mnist_is_found_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = arrays(5)
    write_idx(tmp_path / data.FASHION_MNIST, values)
    monkeypatch.setenv("HWBENCH_DATA", str(tmp_path))
    np.testing.assert_array_equal(data.find_fashion_mnist().train.pixels[..., 0], values["x_train"])


@pytest.mark.skipif(not INSTALLED.exists(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_fashion_mnist_as_debian_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HWBENCH_DATA", raising=False)
    found = data.find_fashion_mnist()
    assert (len(found.train), len(found.test), found.shape, found.classes) == (60_000, 10_000, (28, 28, 1), 10)
    np.testing.assert_array_equal(np.bincount(found.train.labels), 6000)
    found.check_fits(spaces.get("proxylessnas-w0.25-r28-c10-i1"))


def test_the_space_must_take_the_images(tmp_path: Path) -> None:
    found = data.load(write_npz(tmp_path / "small.npz", arrays(6)))
    with pytest.raises(DataError, match=r"images of 4 x 5 x 1; the networks take 28 x 28 x 1"):
        found.check_fits(spaces.get("proxylessnas-w0.25-r28-c10-i1"))


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 300), st.integers(1, 12), st.data())
def test_splits_are_disjoint_complete_and_balanced(count: int, classes: int, draws: st.DataObject) -> None:
    held_out = draws.draw(st.integers(1, count - 1))
    labels = np.random.default_rng(count).integers(0, classes, count)
    numbered = np.arange(count, dtype=np.uint32).view(np.uint8).reshape(count, 2, 2, 1)
    rest, chosen = data.split(Images(numbered, labels), held_out, seed=1)
    assert len(chosen) == held_out
    both = np.concatenate([part.pixels.reshape(-1, 4).view(np.uint32)[:, 0] for part in (rest, chosen)])
    np.testing.assert_array_equal(np.sort(both), np.arange(count))
    of_class = np.bincount(chosen.labels, minlength=classes)
    assert np.abs(of_class - np.bincount(labels, minlength=classes) * held_out / count).max() <= 1


def test_splits_do_not_keep_the_order_of_the_classes() -> None:
    labels = np.repeat(np.arange(4), 50)
    for part in data.split(Images(np.zeros((200, 2, 2, 1), np.uint8), labels), 80, seed=0):
        assert all(len(set(part.labels[begin : begin + 20].tolist())) > 2 for begin in range(0, 80, 20))
