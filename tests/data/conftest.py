"""Small files in MNIST's form, and a server that hands them out in every way a server can."""

import gzip
import hashlib
import os
import signal
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from numnist.data import KnownFile, Network
from numnist.data.known import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS


def idx_bytes(code: int, shape: tuple[int, ...], data: bytes) -> bytes:
    """An IDX file, written out by hand."""
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape) + data


@dataclass(frozen=True)
class SmallData:
    """Four files in MNIST's form: 5 x 4 pixels, 12 training and 6 test images, 3 classes."""

    contents: Mapping[str, bytes]
    known: Mapping[str, KnownFile]

    def write(self, folder: Path, *, only: tuple[str, ...] | None = None, suffix: str = "") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for role in only or tuple(self.contents):
            content = self.contents[role]
            (folder / (role + suffix)).write_bytes(gzip.compress(content) if suffix == ".gz" else content)
        return folder


def small_data() -> SmallData:
    pixels = bytes((7 * i * i + 3 * i) % 251 for i in range(12 * 20))
    contents = {
        TRAIN_IMAGES: idx_bytes(8, (12, 5, 4), pixels),
        TRAIN_LABELS: idx_bytes(8, (12,), bytes(i % 3 for i in range(12))),
        TEST_IMAGES: idx_bytes(8, (6, 5, 4), pixels[::-1][: 6 * 20]),
        TEST_LABELS: idx_bytes(8, (6,), bytes(2 - i % 3 for i in range(6))),
    }
    known = {role: KnownFile(len(c), hashlib.sha256(c).hexdigest()) for role, c in contents.items()}
    return SmallData(contents, known)


@pytest.fixture(scope="session")
def small() -> SmallData:
    return small_data()


@pytest.fixture
def brisk() -> Network:
    """Pauses that a test can wait for."""
    return Network(pauses=(0.01, 0.02))


class MirrorServer(ThreadingHTTPServer):
    """Serves the small files at /BEHAVIOUR/NAME.gz; the behaviours are the methods of `Handler`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = small_data().contents
        self.requests: Counter[str] = Counter()
        self.over = threading.Event()

    def mirror(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{behaviour}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up on servers such as these."""


class Handler(BaseHTTPRequestHandler):
    server: MirrorServer

    def do_GET(self) -> None:
        _, behaviour, name = self.path.split("/")
        self.server.requests[f"{behaviour}/{name}"] += 1
        content = self.server.files[name.removesuffix(".gz")]
        getattr(self, f"serve_{behaviour}")(content, name)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(
        self, body: bytes, *, status: int = 200, length: int | str | None = None, **headers: str
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def serve_good(self, content: bytes, name: str) -> None:
        self.answer(gzip.compress(content))

    def serve_plain(self, content: bytes, name: str) -> None:
        self.answer(content)

    def serve_encoded(self, content: bytes, name: str) -> None:
        self.answer(gzip.compress(gzip.compress(content)), Content_Encoding="gzip")

    def serve_unknown_length(self, content: bytes, name: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(gzip.compress(content))

    def serve_forbidden(self, content: bytes, name: str) -> None:
        self.answer(b"no", status=403)

    def serve_missing(self, content: bytes, name: str) -> None:
        self.answer(b"no", status=404)

    def serve_down(self, content: bytes, name: str) -> None:
        self.answer(b"no", status=500)

    def serve_flaky(self, content: bytes, name: str) -> None:
        if self.server.requests[f"flaky/{name}"] < 3:
            self.answer(b"not yet", status=503)
        else:
            self.serve_good(content, name)

    def serve_only_labels(self, content: bytes, name: str) -> None:
        if "labels" in name:
            self.serve_good(content, name)
        else:
            self.serve_missing(content, name)

    def serve_silent(self, content: bytes, name: str) -> None:
        self.server.over.wait(20)

    def serve_stalling(self, content: bytes, name: str) -> None:
        body = gzip.compress(content)
        self.answer(body[:20], length=len(body))
        self.server.over.wait(20)

    def serve_dripping(self, content: bytes, name: str) -> None:
        self.answer(b"", length=100_000)
        while not self.server.over.wait(0.05):
            self.wfile.write(b"x")

    def serve_slow(self, content: bytes, name: str) -> None:
        body = gzip.compress(content)
        self.answer(b"", length=len(body))
        for start in range(0, len(body), 5000):
            self.wfile.write(body[start : start + 5000])
            if self.server.over.wait(0.05):
                break

    def serve_dripping_header(self, content: bytes, name: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Header: ")
        while not self.server.over.wait(0.05):
            self.wfile.write(b"x")

    def serve_breaking_off(self, content: bytes, name: str) -> None:
        self.answer(gzip.compress(content)[:-10], length=len(gzip.compress(content)))

    def serve_truncated(self, content: bytes, name: str) -> None:
        self.answer(gzip.compress(content)[:-10])

    def serve_corrupt(self, content: bytes, name: str) -> None:
        body = bytearray(gzip.compress(content))
        body[-6] ^= 1  # in the checksum
        self.answer(bytes(body))

    def serve_scrambled(self, content: bytes, name: str) -> None:
        self.answer(gzip.compress(content)[:10] + b"\xff" * 40)

    def serve_lying(self, content: bytes, name: str) -> None:
        self.answer(gzip.compress(content[:-1] + bytes([content[-1] ^ 1])))

    def serve_page(self, content: bytes, name: str) -> None:
        self.answer(b"<!DOCTYPE html><title>Log in to this network</title>", Content_Type="text/html")

    def serve_bomb(self, content: bytes, name: str) -> None:
        self.answer(gzip.compress(bytes(1_000_000)))  # 1,003 bytes

    def serve_flood(self, content: bytes, name: str) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.server.over.is_set():
            self.wfile.write(bytes(10_000))

    def serve_odd_length(self, content: bytes, name: str) -> None:
        self.answer(gzip.compress(content), length="many")

    def serve_no_http(self, content: bytes, name: str) -> None:
        self.wfile.write(b"\x1b[2J+OK POP3 ready\r\n\r\n")

    def serve_interrupt(self, content: bytes, name: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)  # the person presses Ctrl-C
        self.server.over.wait(20)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MirrorServer]:
    monkeypatch.setenv("no_proxy", "*")
    with MirrorServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()
