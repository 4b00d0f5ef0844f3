from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from numnist.arrays import Array
from numnist.data import Split, export_idx, export_png, load_mnist, read_idx
from numnist.errors import InputError


def split(n: int = 3, dtype: type = np.uint8, largest: int = 9) -> Split:
    images: Array = (np.arange(n * 20) % 256).astype(dtype).reshape(n, 5, 4)
    return Split(images, np.arange(n, dtype=np.int64) * largest // max(1, n - 1))


@pytest.mark.parametrize("compress", [False, True])
def test_idx_is_found_again(tmp_path: Path, compress: bool) -> None:
    folder = tmp_path / "deep" / "down"
    images, labels = export_idx(split(), folder, "train", compress=compress)
    export_idx(split(2), folder, "t10k", compress=compress)
    assert images == folder / f"train-images-idx3-ubyte{'.gz' if compress else ''}"
    dataset = load_mnist(folder)
    assert dataset.train is not None
    np.testing.assert_array_equal(dataset.train.images, split().images)
    assert dataset.train.labels.tolist() == [0, 4, 9]
    assert read_idx(labels).dtype == np.uint8


def test_idx_keeps_other_dtypes_and_large_labels(tmp_path: Path) -> None:
    images, labels = export_idx(split(dtype=np.float32, largest=300), tmp_path, "train")
    assert read_idx(images).dtype == np.float32
    assert read_idx(labels).dtype == np.int32
    assert read_idx(labels).tolist() == [0, 150, 300]
    with pytest.raises(ValueError, match="got uint16"):
        export_idx(split(dtype=np.uint16), tmp_path, "other")


def test_idx_is_not_overwritten_unasked(tmp_path: Path) -> None:
    images, labels = export_idx(split(), tmp_path, "train")
    images.unlink()
    with pytest.raises(InputError, match=f"^{labels}: there is such a file: --force"):
        export_idx(split(2), tmp_path, "train")
    assert not images.exists()
    export_idx(split(2), tmp_path, "train", overwrite=True)
    assert len(read_idx(labels)) == 2


def test_png(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "down"
    assert export_png(split(), folder) == 3
    names = ["00000-label0.png", "00001-label4.png", "00002-label9.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name, image in zip(names, split().images, strict=True):
        with Image.open(folder / name) as picture:
            assert picture.mode == "L"
            np.testing.assert_array_equal(np.asarray(picture), image)


def test_png_limit(tmp_path: Path) -> None:
    assert export_png(split(), tmp_path / "two", limit=2) == 2
    assert len(list((tmp_path / "two").iterdir())) == 2
    assert export_png(split(), tmp_path / "all", limit=50) == 3
    with pytest.raises(ValueError, match="got 0"):
        export_png(split(), tmp_path / "none", limit=0)


def test_png_folder_must_be_empty(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match=f"^{tmp_path}: the folder holds files: --force"):
        export_png(split(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    export_png(split(), tmp_path, overwrite=True)
    export_png(Split(255 - split().images, split().labels), tmp_path, overwrite=True)
    assert len(list(tmp_path.iterdir())) == 4
    with Image.open(tmp_path / "00000-label0.png") as picture:
        assert np.asarray(picture)[0, 0] == 255


def test_png_needs_uint8(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="images of uint8, got float32"):
        export_png(split(dtype=np.float32), tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_png_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException) -> None:
    save = Image.Image.save

    def full(self: Image.Image, path: Path) -> None:
        if path.name.startswith("00002"):
            raise failure
        save(self, path)

    monkeypatch.setattr(Image.Image, "save", full)
    expected = InputError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        export_png(split(), tmp_path)
    if isinstance(failure, OSError):
        assert str(caught.value) == f"{tmp_path}: cannot be written (No space left on device)"
    assert list(tmp_path.iterdir()) == []


def test_export_to_where_nothing_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(InputError, match=f"^{folder}: cannot be written"):
            export_png(split(), folder)
        with pytest.raises(InputError, match=f"^{folder}: cannot be written"):
            export_idx(split(), folder, "train")
