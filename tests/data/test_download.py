import dataclasses
import hashlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from numnist.data import KnownFile, Network
from numnist.data.download import DownloadError, fetch
from numnist.data.known import TRAIN_IMAGES

if TYPE_CHECKING:
    from tests.data.conftest import MirrorServer, SmallData

NAME = TRAIN_IMAGES


def fetched(
    server: "MirrorServer", small: "SmallData", network: Network, *behaviours: str, **kwargs: Any
) -> tuple[bytes, str]:
    mirrors = [server.mirror(behaviour) for behaviour in behaviours]
    kwargs = {"report": lambda line: None} | kwargs
    return fetch(NAME, small.known[NAME], mirrors, network=network, **kwargs)


def reason(server: "MirrorServer", small: "SmallData", network: Network, behaviour: str) -> str:
    """Why a mirror of that behaviour alone is given up."""
    with pytest.raises(DownloadError) as caught:
        fetched(server, small, network, behaviour)
    ((url, why),) = caught.value.reasons
    assert url == f"{server.mirror(behaviour)}{NAME}.gz"
    assert str(caught.value) == f"{url}: {why}"
    assert why.isprintable()
    return why


@pytest.mark.parametrize("behaviour", ["good", "plain", "encoded", "unknown_length"])
def test_good_servers(server: "MirrorServer", small: "SmallData", brisk: Network, behaviour: str) -> None:
    content, source = fetched(server, small, brisk, behaviour)
    assert content == small.contents[NAME]
    assert source == server.mirror(behaviour)
    assert server.requests.total() == 1


@pytest.mark.parametrize(
    ("behaviour", "why", "attempts"),
    [
        ("forbidden", "HTTP 403 Forbidden", 1),
        ("missing", "HTTP 404 Not Found", 1),
        ("down", "HTTP 500 Internal Server Error", 3),
        ("silent", "sent nothing for 0.1 s", 3),
        ("stalling", "sent nothing for 0.1 s", 3),
        ("dripping", "not done after 0.3", 1),
        ("dripping_header", "not done after 0.3", 1),
        ("breaking_off", "broke off (", 3),
        ("truncated", "sent a truncated gzip file", 3),
        ("corrupt", "sent a corrupt gzip file (CRC check failed", 1),
        ("scrambled", "sent a corrupt gzip file (", 1),
        ("lying", "sent other contents: 256 bytes with SHA-256 ", 1),
        ("page", "sent other contents: 52 bytes with SHA-256 ", 1),
        ("bomb", "sent other contents: more than 256 bytes", 1),
        ("flood", "sent more than 1,258 bytes", 1),
        ("odd_length", "invalid literal for int()", 1),
        ("no_http", "2J+OK POP3 ready", 3),
    ],
)
def test_bad_servers(
    server: "MirrorServer", small: "SmallData", brisk: Network, behaviour: str, why: str, attempts: int
) -> None:
    if behaviour in ("silent", "stalling"):
        brisk = dataclasses.replace(brisk, silence=0.1)
    if behaviour in ("dripping", "dripping_header"):
        brisk = dataclasses.replace(brisk, patience=0.3)
    start = time.monotonic()
    assert why in reason(server, small, brisk, behaviour)
    assert time.monotonic() - start < 8
    assert server.requests[f"{behaviour}/{NAME}.gz"] == attempts


def test_the_next_mirror_is_asked(server: "MirrorServer", small: "SmallData", brisk: Network) -> None:
    lines: list[str] = []
    content, source = fetched(server, small, brisk, "forbidden", "lying", "good", "down", report=lines.append)
    assert content == small.contents[NAME]
    assert source == server.mirror("good")
    assert [line.partition(".gz: ")[2].split(":")[0] for line in lines] == [
        "HTTP 403 Forbidden",
        "sent other contents",
    ]
    assert all(line.startswith("http://127.0.0.1") for line in lines)
    assert not any(request.startswith("down") for request in server.requests)


def test_what_passes_is_tried_again(server: "MirrorServer", small: "SmallData", brisk: Network) -> None:
    content, _ = fetched(server, small, brisk, "flaky")
    assert content == small.contents[NAME]
    assert server.requests.total() == 3
    once = dataclasses.replace(brisk, pauses=())
    server.requests.clear()
    assert reason(server, small, once, "flaky") == "HTTP 503 Service Unavailable"
    assert server.requests.total() == 1


def test_all_reasons_are_kept(server: "MirrorServer", small: "SmallData", brisk: Network) -> None:
    with pytest.raises(DownloadError) as caught:
        fetched(server, small, brisk, "forbidden", "missing")
    assert [why for _, why in caught.value.reasons] == ["HTTP 403 Forbidden", "HTTP 404 Not Found"]


def test_nobody_listens(small: "SmallData", brisk: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(DownloadError, match="Connection refused"):
            fetch(NAME, small.known[NAME], [url], network=brisk, report=lambda line: None)


@pytest.mark.parametrize("url", ["ftp://localhost/", "no address", "http://", "http://[::1/"])
def test_addresses_that_are_none(small: "SmallData", brisk: Network, url: str) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch(NAME, small.known[NAME], [url], network=brisk, report=lambda line: None)
    ((_, why),) = caught.value.reasons
    assert why


def test_ctrl_c_ends_a_download_at_once(server: "MirrorServer", small: "SmallData") -> None:
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetched(server, small, Network(), "interrupt")
    assert time.monotonic() - start < 5


class Recorder:
    """Progress that keeps what it is told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0
        self.seen: list[str] = []

    def update(self, amount: int) -> None:
        self.seen.append("update")

    def reset(self) -> None:
        self.seen.append("reset")

    def close(self) -> None:
        self.seen.append("close")


def test_progress(server: "MirrorServer", small: "SmallData", brisk: Network) -> None:
    made: list[Recorder] = []

    def progress(name: str) -> Recorder:
        made.append(Recorder(name))
        return made[-1]

    fetched(server, small, brisk, "breaking_off", "good", progress=progress)
    assert [recorder.name for recorder in made] == [f"{NAME}.gz"] * 4
    assert all(recorder.seen[-1] == "close" for recorder in made)
    assert ["reset" in recorder.seen for recorder in made] == [False, False, False, True]
    assert made[-1].seen[:3] == ["update", "reset", "update"]
    assert made[-1].total > 20


def test_time_allowed_grows_with_the_file() -> None:
    network = Network(patience=30, slowest=100_000)
    assert network.seconds(0) == 30
    assert network.seconds(47_040_016) == pytest.approx(500.4, abs=0.01)


@pytest.fixture
def noise(server: "MirrorServer") -> KnownFile:
    """A larger file, and one that gzip cannot compress."""
    content = np.random.default_rng(0).bytes(1_000_000)
    server.files = {NAME: content}
    return KnownFile(len(content), hashlib.sha256(content).hexdigest())


def test_contents_that_gzip_cannot_compress_are_within_the_limit(
    server: "MirrorServer", noise: KnownFile, brisk: Network
) -> None:
    content, _ = fetch(NAME, noise, [server.mirror("good")], network=brisk, report=print)
    assert content == server.files[NAME]


def test_a_download_given_up_does_not_go_on(server: "MirrorServer", noise: KnownFile, brisk: Network) -> None:
    """The server would be busy for another ten seconds."""
    brisk = dataclasses.replace(brisk, patience=0.2, slowest=1e9)
    with pytest.raises(DownloadError, match="not done after"):
        fetch(NAME, noise, [server.mirror("slow")], network=brisk, report=print)
    for thread in threading.enumerate():
        if thread.name.startswith("download of"):
            thread.join(5)
            assert not thread.is_alive()
