"""Finding MNIST: in a folder, in the cache, on the network."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from numnist.data._paths import os_errors, shown
from numnist.data.dataset import Dataset, assemble, read_role
from numnist.data.download import DownloadError, Network, Progress, Report, fetch
from numnist.data.idx import IdxFile
from numnist.data.known import MNIST_FILES, MNIST_MIRRORS, ROLES, KnownFile
from numnist.errors import InputError
from numnist.files import write_atomic


class DataUnavailable(InputError):  # noqa: N818 - a state of the world that a caller may go on from
    """MNIST is nowhere to be had; `reasons` holds (place, why) for each place that was tried, in order."""

    def __init__(self, reasons: Iterable[tuple[str, str]]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(self.reasons)  # what pickle hands to a copy in another process

    def __str__(self) -> str:
        return "MNIST is nowhere to be had: " + "; ".join(f"{place}: {why}" for place, why in self.reasons)


class _IncompleteError(InputError):
    """A folder that is not there, or lacks files."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(folder, reason)
        self.folder, self.reason = folder, reason

    def __str__(self) -> str:
        return f"{shown(self.folder)}: {self.reason}"


def load_mnist(
    directory: Path | None = None,
    *,
    splits: Sequence[str] = ("train", "test"),
    download: bool = True,
    report: Report | None = None,
    progress: Callable[[str], Progress] | None = None,
    files: Mapping[str, KnownFile] = MNIST_FILES,
    mirrors: Sequence[str] | None = None,
    network: Network | None = None,
) -> Dataset:
    """MNIST, or what lies under its names, from the first of these places that has it.

    1. `directory`, if given: then nowhere else.
    2. The folder that the environment variable NUMNIST_DATA names.
    3. The folder `data` in the working directory.
    4. The cache: the folder that NUMNIST_CACHE names, or numnist in the system's folder for caches (on Linux
       $XDG_CACHE_HOME, usually ~/.cache). A file there whose contents are not MNIST's counts as missing.
    5. The network, unless `download` is False: `mirrors` in turn, by default those that NUMNIST_MIRRORS names
       (separated by commas) or else `known.MNIST_MIRRORS`. What the cache lacks is written there,
       uncompressed, each file in one step and after its SHA-256 was verified.

    In a folder the files have their original names or the dotted ones (train-images.idx3-ubyte), with or
    without .gz. In the first three places they may hold another data set (Fashion-MNIST, KMNIST): it loads,
    under the name "idx". A folder that is absent or lacks a file is passed over; a broken file is an error.

    `splits`: what is needed, "train", "test" or both. `report` gets lines about what went wrong on the way
    and about the download; `progress` makes the object that follows the download of one file, given its name.
    `files` and `network` are there for tests, and for other data sets of the same form.

    Raises: InputError, one line that names the file or folder, for a `directory` that is absent or incomplete
            and for broken files; DataUnavailable, one line that names each place and why it failed;
            ValueError for other `splits`.
    """
    if not splits or not set(splits) <= set(ROLES):
        raise ValueError(f"load_mnist: expected splits from {tuple(ROLES)}, got {tuple(splits)}")
    roles = [role for split in ROLES if split in splits for role in ROLES[split]]
    report = report or (lambda _line: None)
    if directory is not None:
        return _load(directory, roles, files)

    reasons: list[tuple[str, str]] = []
    if named := os.environ.get("NUMNIST_DATA"):
        try:
            return _load(Path(named), roles, files)
        except _IncompleteError as error:
            report(f"NUMNIST_DATA: {error}")
            reasons.append((f"NUMNIST_DATA={shown(error.folder)}", error.reason))
    else:
        reasons.append(("NUMNIST_DATA", "not set"))
    try:
        return _load(Path("data"), roles, files)
    except _IncompleteError as error:
        reasons.append(("./data", error.reason))

    cache = cache_folder()
    try:
        with os_errors(cache, "used"):
            parts = _read_cache(cache, roles, files, report)
            lacking = [role for role in roles if role not in parts]
            if lacking:
                reasons.append((f"cache {shown(cache)}", f"lacks {', '.join(lacking)}"))
                if not download:
                    raise DownloadError([("download", "switched off")])
                report(f"downloading {len(lacking)} files of MNIST to {shown(cache)}")
                _download(cache, {role: files[role] for role in lacking}, mirrors, network, report, progress)
                parts |= {role: read_role(role, cache / role) for role in lacking}
    except DownloadError as error:
        raise DataUnavailable([*reasons, *error.reasons]) from error
    except InputError as error:
        raise DataUnavailable([*reasons, ("cache", str(error))]) from error
    return assemble(parts, files)


def cache_folder() -> Path:
    """Where downloads are kept: NUMNIST_CACHE, or `numnist` in the system's folder for caches."""
    if given := os.environ.get("NUMNIST_CACHE"):
        return Path(given)
    import pooch

    return Path(pooch.os_cache("numnist"))


def find_file(folder: Path, role: str) -> Path | None:
    """The file in `folder` that has MNIST's name `role`, in one of the forms in which it is found."""
    dotted = role.replace("-idx", ".idx")
    candidates = (folder / name for name in (role, f"{role}.gz", dotted, f"{dotted}.gz"))
    return next((path for path in candidates if path.is_file()), None)


def _load(folder: Path, roles: Sequence[str], files: Mapping[str, KnownFile]) -> Dataset:
    with os_errors(folder, "read"):
        if not folder.is_dir():
            raise _IncompleteError(folder, "not a folder" if folder.exists() else "no such folder")
        found = {role: path for role in roles if (path := find_file(folder, role)) is not None}
    if lacking := [role for role in roles if role not in found]:
        raise _IncompleteError(folder, f"lacks {', '.join(lacking)}")
    return assemble({role: read_role(role, path) for role, path in found.items()}, files)


def _read_cache(
    cache: Path, roles: Sequence[str], files: Mapping[str, KnownFile], report: Report
) -> dict[str, IdxFile]:
    """The files that are in the cache with the right contents; `report` hears of those with others."""
    parts = {}
    for role in roles:
        path = find_file(cache, role)
        if path is None:
            continue
        try:
            part = read_role(role, path)
            if part.sha256 != files[role].sha256:
                raise InputError(f"{shown(path)}: its SHA-256 is not that of MNIST's file")
            parts[role] = part
        except InputError as error:
            report(f"not used from the cache: {error}")
    return parts


def _download(
    cache: Path,
    wanted: Mapping[str, KnownFile],
    mirrors: Sequence[str] | None,
    network: Network | None,
    report: Report,
    progress: Callable[[str], Progress] | None,
) -> None:
    """Fetch the files into the cache. The mirror that had one is the first to be asked for the next."""
    cache.mkdir(parents=True, exist_ok=True)
    listed = [url.strip() for url in os.environ.get("NUMNIST_MIRRORS", "").split(",") if url.strip()]
    order = list(mirrors or listed or MNIST_MIRRORS)
    for role, known in wanted.items():
        content, source = fetch(
            role, known, order, network=network or Network(), report=report, progress=progress
        )
        write_atomic(cache / role, content)
        order.sort(key=lambda mirror: mirror != source)
