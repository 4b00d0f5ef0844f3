"""A study that takes a second, and storages of both kinds."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import write_data

from numnist.data import Dataset, load_idx_dataset
from numnist.study import Plan, parse_study

TINY: dict[str, Any] = {
    "recipe": "quick",
    "seeds": [0, 1],
    "choice_seeds": [7],
    "settings": {"model": "mlp:4", "epochs": 1, "batch_size": 16},
    "factors": {
        "optimizer": {
            "base": "adam",
            "levels": {
                "adam": {},
                "sgd": {"settings": {"optim": {"kind": "sgd"}}, "choose": {"optim.lr": [0.1, 0.5]}},
            },
        },
        "width": {"base": "4", "levels": {"4": {}, "8": {"settings": {"model": "mlp:8"}}}},
    },
}
"""Two factors that share their base: 2 runs to choose by, 6 to measure."""

RUNS = 8


@pytest.fixture
def plan() -> Plan:
    return Plan("tiny", parse_study(TINY, "tiny.toml"))


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny data set."""
    folder = tmp_path_factory.mktemp("study") / "own"
    write_data(folder)
    return folder


@pytest.fixture(scope="session")
def dataset(own: Path) -> Dataset:
    names = {
        f"{split}_{what}": next(own.glob(f"{stem}-{what}*"))
        for split, stem in (("train", "train"), ("test", "t10k"))
        for what in ("images", "labels")
    }
    return load_idx_dataset(**names)


def _free_port() -> int:
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database server of our own; skips where Debian's is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL server is installed (Debian: postgresql)")
    programs = found[-1].parent
    # It refuses to run as root, and the folders of tests are their owner's alone.
    user = "postgres" if os.getuid() == 0 else None
    folder = Path(tmp_path_factory.mktemp("postgresql"))
    if user:
        folder = Path("/tmp") / f"numnist-{os.getpid()}-{folder.name}"
        folder.mkdir(mode=0o700)
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    data, port = folder / "data", _free_port()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    make = [programs / "initdb", "-D", data, "-U", "numnist", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"]
    subprocess.run(make, check=True, user=user, **quiet)  # type: ignore[call-overload]
    start = [programs / "postgres", "-D", data, "-p", str(port), "-k", folder, "-c", "fsync=off"]
    server = subprocess.Popen(start, user=user, **quiet)  # type: ignore[call-overload]
    try:
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None, "the server has ended"
                assert time.monotonic() < until, "the server does not answer"
                time.sleep(0.05)
        yield f"postgresql://numnist@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # SIGTERM waits until all clients have left
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)
