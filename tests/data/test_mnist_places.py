import gzip
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from numnist.data import Dataset, DataUnavailable, Network, cache_folder, load_mnist
from numnist.data.known import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from numnist.errors import InputError

if TYPE_CHECKING:
    from tests.data.conftest import MirrorServer, SmallData


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is set and nothing is there: an empty working directory, a cache that is yet to be made."""
    for variable in ("NUMNIST_DATA", "NUMNIST_MIRRORS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NUMNIST_CACHE", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "cache"


def folders(dataset: Dataset) -> set[Path]:
    return {record.path.parent for record in dataset.files}


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


ALL = sorted([TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS])


def test_places_in_their_order(
    small: "SmallData", tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, named = small.write(tmp_path / "given"), small.write(tmp_path / "named")
    small.write(Path("data"))
    small.write(cache)
    monkeypatch.setenv("NUMNIST_DATA", str(named))
    lines: list[str] = []
    assert folders(load_mnist(given, download=False, files=small.known, report=lines.append)) == {given}
    assert folders(load_mnist(download=False, files=small.known, report=lines.append)) == {named}
    monkeypatch.delenv("NUMNIST_DATA")
    assert folders(load_mnist(download=False, files=small.known, report=lines.append)) == {Path("data")}
    (Path("data") / TEST_LABELS).unlink()
    assert folders(load_mnist(download=False, files=small.known, report=lines.append)) == {cache}
    assert lines == []


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dotted", [False, True])
def test_names_that_are_found(small: "SmallData", tmp_path: Path, suffix: str, dotted: bool) -> None:
    small.write(tmp_path, suffix=suffix)
    if dotted:
        for path in tmp_path.glob("*-ubyte*"):
            path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    dataset = load_mnist(tmp_path, files=small.known)
    assert dataset.name == "mnist"
    assert dataset.train is not None
    assert dataset.test is not None
    assert dataset.train.labels.tolist() == [0, 1, 2] * 4
    assert dataset.test.images.tobytes() == small.contents[TEST_IMAGES][16:]


def test_a_folder_of_a_files_name_is_no_file(small: "SmallData", tmp_path: Path) -> None:
    small.write(tmp_path, suffix=".gz")
    (tmp_path / TRAIN_IMAGES).mkdir()  # as some unpackers make it
    assert load_mnist(tmp_path, files=small.known).files[0].path == tmp_path / f"{TRAIN_IMAGES}.gz"


def test_splits(small: "SmallData", tmp_path: Path) -> None:
    small.write(tmp_path, only=(TEST_IMAGES, TEST_LABELS))
    dataset = load_mnist(tmp_path, splits=("test",), files=small.known)
    assert dataset.train is None
    assert dataset.name == "mnist"
    with pytest.raises(InputError, match=f"^{tmp_path}: lacks {TRAIN_IMAGES}, {TRAIN_LABELS}$"):
        load_mnist(tmp_path, splits=("test", "train"))
    for splits in ((), ("validation",), ("train", "t10k")):
        with pytest.raises(ValueError, match="expected splits from"):
            load_mnist(tmp_path, splits=splits)


def test_another_data_set_under_these_names_is_not_called_mnist(small: "SmallData", tmp_path: Path) -> None:
    small.write(tmp_path)
    assert load_mnist(tmp_path).name == "idx"


def test_a_given_folder_is_the_only_place(small: "SmallData", tmp_path: Path) -> None:
    small.write(Path("data"))
    for folder, message in (
        (tmp_path / "absent", "no such folder"),
        (small.write(tmp_path / "some", only=(TRAIN_IMAGES,)) / TRAIN_IMAGES, "not a folder"),
        (tmp_path / "some", f"lacks {TRAIN_LABELS}, {TEST_IMAGES}, {TEST_LABELS}"),
    ):
        with pytest.raises(InputError) as caught:
            load_mnist(folder, files=small.known)
        assert str(caught.value) == f"{folder}: {message}"
        assert not isinstance(caught.value, DataUnavailable)


@pytest.mark.parametrize("place", ["given", "NUMNIST_DATA", "data"])
def test_a_broken_file_is_an_error_and_not_passed_over(
    small: "SmallData", tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    small.write(cache)
    folder = small.write(Path("data") if place == "data" else tmp_path / "folder")
    (folder / TEST_LABELS).write_bytes(small.contents[TEST_LABELS][:-1])
    if place == "NUMNIST_DATA":
        monkeypatch.setenv("NUMNIST_DATA", str(folder))
    with pytest.raises(InputError, match=f"^{folder}/{TEST_LABELS}: .* truncated") as caught:
        load_mnist(folder if place == "given" else None, files=small.known)
    assert not isinstance(caught.value, DataUnavailable)


def test_a_named_folder_of_no_use_is_reported(
    small: "SmallData", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.write(Path("data"))
    monkeypatch.setenv("NUMNIST_DATA", str(tmp_path / "absent"))
    lines: list[str] = []
    assert folders(load_mnist(files=small.known, report=lines.append)) == {Path("data")}
    assert lines == [f"NUMNIST_DATA: {tmp_path}/absent: no such folder"]


def test_nowhere(
    small: "SmallData",
    server: "MirrorServer",
    brisk: Network,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lack = f"lacks {', '.join((TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS))}"
    with pytest.raises(DataUnavailable) as caught:
        load_mnist(files=small.known, download=False)
    assert caught.value.reasons == (
        ("NUMNIST_DATA", "not set"),
        ("./data", "no such folder"),
        (f"cache {cache}", lack),
        ("download", "switched off"),
    )
    assert not cache.exists()

    monkeypatch.setenv("NUMNIST_DATA", str(tmp_path))
    mirrors = [server.mirror("forbidden"), server.mirror("page")]
    with pytest.raises(DataUnavailable) as caught:
        load_mnist(files=small.known, mirrors=mirrors, network=brisk)
    assert [place for place, _ in caught.value.reasons] == [
        f"NUMNIST_DATA={tmp_path}",
        "./data",
        f"cache {cache}",
        *(f"{mirror}{TRAIN_IMAGES}.gz" for mirror in mirrors),
    ]
    assert caught.value.reasons[3][1] == "HTTP 403 Forbidden"
    message = str(caught.value)
    assert "\n" not in message
    assert all(f"{place}: {why}" in message for place, why in caught.value.reasons)
    assert listing(cache) == []


def test_download_goes_to_the_cache_and_once(
    small: "SmallData", server: "MirrorServer", brisk: Network, cache: Path
) -> None:
    lines: list[str] = []
    mirrors = [server.mirror("missing"), server.mirror("good")]
    dataset = load_mnist(files=small.known, mirrors=mirrors, network=brisk, report=lines.append)
    assert dataset.name == "mnist"
    assert folders(dataset) == {cache}
    assert listing(cache) == ALL
    assert (cache / TRAIN_IMAGES).read_bytes() == small.contents[TRAIN_IMAGES]
    assert lines[0] == f"downloading 4 files of MNIST to {cache}"
    # The mirror that had the first file is asked first for the others.
    assert sum(count for request, count in server.requests.items() if request.startswith("missing")) == 1

    server.requests.clear()
    again = load_mnist(files=small.known, mirrors=mirrors, network=brisk)
    assert again.fingerprint == dataset.fingerprint
    assert not server.requests


def test_only_what_is_needed_and_lacking_is_downloaded(
    small: "SmallData", server: "MirrorServer", brisk: Network, cache: Path
) -> None:
    small.write(cache, only=(TEST_IMAGES,), suffix=".gz")
    dataset = load_mnist(splits=("test",), files=small.known, mirrors=[server.mirror("good")], network=brisk)
    assert dataset.name == "mnist"
    assert list(server.requests) == [f"good/{TEST_LABELS}.gz"]
    assert listing(cache) == [f"{TEST_IMAGES}.gz", TEST_LABELS]


def test_a_corrupt_file_of_the_cache_is_fetched_again(
    small: "SmallData", server: "MirrorServer", brisk: Network, cache: Path
) -> None:
    small.write(cache)
    changed = bytearray(small.contents[TRAIN_IMAGES])
    changed[-1] ^= 1
    (cache / TRAIN_IMAGES).write_bytes(changed)
    (cache / TEST_LABELS).write_bytes(b"rubbish")
    with pytest.raises(DataUnavailable, match=f"lacks {TRAIN_IMAGES}, {TEST_LABELS}"):
        load_mnist(files=small.known, download=False)

    lines: list[str] = []
    dataset = load_mnist(
        files=small.known, mirrors=[server.mirror("good")], network=brisk, report=lines.append
    )
    assert dataset.name == "mnist"
    assert set(server.requests) == {f"good/{TRAIN_IMAGES}.gz", f"good/{TEST_LABELS}.gz"}
    unused = f"not used from the cache: {cache}"
    assert lines[0] == f"{unused}/{TRAIN_IMAGES}: its SHA-256 is not that of MNIST's file"
    assert lines[1].startswith(f"{unused}/{TEST_LABELS}: expected an IDX file")
    assert lines[2] == f"downloading 2 files of MNIST to {cache}"
    assert listing(cache) == ALL


def test_a_half_finished_download_leaves_whole_files_only(
    small: "SmallData", server: "MirrorServer", brisk: Network, cache: Path
) -> None:
    small.write(cache, only=(TRAIN_IMAGES,))
    with pytest.raises(DataUnavailable, match=f"only_labels/{TEST_IMAGES}.gz: HTTP 404 Not Found"):
        load_mnist(files=small.known, mirrors=[server.mirror("only_labels")], network=brisk)
    assert listing(cache) == sorted([TRAIN_IMAGES, TRAIN_LABELS])


def test_ctrl_c_leaves_nothing(small: "SmallData", server: "MirrorServer", cache: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_mnist(files=small.known, mirrors=[server.mirror("interrupt")])
    assert listing(cache) == []


def test_a_cache_that_cannot_be_made(
    small: "SmallData", server: "MirrorServer", brisk: Network, cache: Path
) -> None:
    cache.write_bytes(b"a file where the folder should be")
    with pytest.raises(DataUnavailable) as caught:
        load_mnist(files=small.known, mirrors=[server.mirror("good")], network=brisk)
    assert caught.value.reasons[-1] == ("cache", f"{cache}: cannot be used (File exists)")


def test_mirrors_from_the_environment(
    small: "SmallData", server: "MirrorServer", brisk: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrors = f" {server.mirror('missing')} ,, {server.mirror('good').rstrip('/')}"
    monkeypatch.setenv("NUMNIST_MIRRORS", mirrors)
    assert load_mnist(files=small.known, network=brisk).name == "mnist"
    assert server.requests[f"missing/{TRAIN_IMAGES}.gz"] == 1


def test_two_processes_download_at_once(small: "SmallData", server: "MirrorServer", cache: Path) -> None:
    program = (
        "import json, sys\n"
        "from numnist.data import KnownFile, load_mnist\n"
        "known = {role: KnownFile(*entry) for role, entry in json.loads(sys.argv[1]).items()}\n"
        "print(load_mnist(files=known).name)\n"
    )
    known = json.dumps({role: (file.size, file.sha256) for role, file in small.known.items()})
    environment = os.environ | {"NUMNIST_MIRRORS": server.mirror("good")}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, known], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert (process.returncode, output) == (0, "mnist\n")
    assert listing(cache) == ALL
    assert all((cache / role).read_bytes() == small.contents[role] for role in ALL)


def test_cache_folder(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("NUMNIST_CACHE")
    assert cache_folder().name == "numnist"
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert cache_folder() == tmp_path / "numnist"


def test_a_gzip_in_the_cache_is_as_good(small: "SmallData", cache: Path) -> None:
    small.write(cache, suffix=".gz")
    (cache / f"{TRAIN_LABELS}.gz").write_bytes(gzip.compress(small.contents[TRAIN_LABELS], 1))
    assert load_mnist(files=small.known, download=False).name == "mnist"


def test_errors_survive_the_way_between_processes(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable) as nowhere:
        load_mnist(download=False)
    with pytest.raises(InputError) as absent:
        load_mnist(tmp_path / "absent")
    for error in (nowhere.value, absent.value):
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert str(copy) == str(error)
    assert pickle.loads(pickle.dumps(nowhere.value)).reasons == nowhere.value.reasons
