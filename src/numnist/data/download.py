"""One file from several mirrors in turn, believed only when its contents have the right SHA-256.

What a server may do (be silent, drip, break off, lie, send too much) ends in a reason and the next mirror.
Nothing is written to the disk here, so nothing is left behind.
"""

import gzip
import hashlib
import http.client
import io
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from numnist.data.idx import unpacked
from numnist.data.known import KnownFile

if TYPE_CHECKING:
    import requests

Report = Callable[[str], None]


class Progress(Protocol):
    """What is told how a download gets on: the interface of `pooch` (a subset of tqdm's).

    `total` (bytes, 0 if unknown) is set when the server has answered. After the last byte `reset()` and
    `update(total)` follow once. `close()` comes last, however it ended, and may come twice.
    """

    total: int

    def update(self, amount: int) -> None:
        """`amount` more bytes have come."""

    def reset(self) -> None:
        """Back to zero bytes."""

    def close(self) -> None:
        """The download is over, or given up."""


@dataclass(frozen=True)
class Network:
    """How patient a download is.

    silence: seconds without a byte before a connection is given up.
    patience, slowest: an attempt may take `patience` seconds, and one more for every `slowest` bytes
    (uncompressed).
    pauses: seconds before the second, third ... attempt at the same mirror.
    """

    silence: float = 10.0
    patience: float = 30.0
    slowest: float = 100_000.0
    pauses: tuple[float, ...] = (0.5, 1.5)

    def seconds(self, size: int) -> float:
        """How long an attempt at a file of `size` bytes may take."""
        return self.patience + size / self.slowest


class DownloadError(Exception):
    """No mirror had the file; `reasons` holds (address, why) for each."""

    def __init__(self, reasons: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{url}: {reason}" for url, reason in reasons))
        self.reasons = tuple(reasons)


def fetch(
    name: str,
    known: KnownFile,
    mirrors: Sequence[str],
    *,
    network: Network,
    report: Report,
    progress: Callable[[str], Progress] | None = None,
) -> tuple[bytes, str]:
    """Download `name`.gz from the first of `mirrors` that has it.

    A connection that fails or breaks off is tried again after a pause; wrong contents, a refusal (HTTP 4xx)
    or a server that takes for ever are final for the mirror. `report` gets a line for each mirror given up.

    Returns: the uncompressed contents, verified, and the mirror they came from.
    Raises: DownloadError when no mirror had them.
    """
    reasons = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{name}.gz"
        for pause in (*network.pauses, None):
            try:
                return _attempt(url, known, network, progress(f"{name}.gz") if progress else None), mirror
            except _RefusedError as error:
                refusal = error
            if pause is None or not refusal.again:
                break
            time.sleep(pause)
        reasons.append((url, str(refusal)))
        report(f"{url}: {refusal}")
    raise DownloadError(reasons)


class _RefusedError(Exception):
    """Why an attempt failed; `again` says whether another one may succeed."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


class _Body:
    """What a server sends, up to `limit` bytes and until it is abandoned; in memory, a file to `pooch`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.abandoned = False
        self.content = io.BytesIO()

    def write(self, chunk: bytes) -> None:
        if self.abandoned:
            raise _RefusedError("abandoned")
        if self.content.tell() + len(chunk) > self.limit:
            raise _RefusedError(f"sent more than {self.limit:,} bytes")
        self.content.write(chunk)

    def flush(self) -> None:
        pass


def _attempt(url: str, known: KnownFile, network: Network, progress: Progress | None) -> bytes:
    """One request to one mirror: the file's verified contents, or a _RefusedError.

    A socket's timeout bounds each wait, but not their sum: a server that sends a byte now and then keeps a
    read (and the header, and the look-up of its name) going for ever. So a thread of its own waits for the
    server, and this one for the thread, up to a limit; Ctrl-C ends the wait at once. A thread left behind
    ends with its connection, or when it next has something to write.
    """
    import pooch

    body = _Body(known.size + known.size // 100 + 1000)  # gzip adds less than that to what it cannot compress
    failures: list[BaseException] = []

    def transfer() -> None:
        responses: list[requests.Response] = []
        downloader = pooch.HTTPDownloader(
            progressbar=progress if progress is not None else False,
            chunk_size=4096,
            timeout=network.silence,
            headers={"Accept-Encoding": "identity"},
            hooks={"response": lambda response, **_: responses.append(response)},
        )
        try:
            downloader(url, body, None)
        except BaseException as error:
            failures.append(error)
        finally:  # pooch leaves the connection of a failed download open
            for response in responses:
                response.close()

    thread = threading.Thread(target=transfer, name=f"download of {url}", daemon=True)
    allowed = network.seconds(known.size)
    try:
        thread.start()
        thread.join(allowed)
        if thread.is_alive():
            raise _RefusedError(f"not done after {allowed:g} s")
    finally:
        body.abandoned = True
        if progress is not None:
            progress.close()
    if failures:
        raise _refusal(failures[0], network) from failures[0]
    return _verified(body.content, known)


def _verified(body: io.BytesIO, known: KnownFile) -> bytes:
    """The uncompressed contents of what was downloaded, if they are the known ones."""
    body.seek(0)
    try:
        content = unpacked(body).read(known.size + 1)
    except EOFError as error:
        raise _RefusedError("sent a truncated gzip file", again=True) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _RefusedError(f"sent a corrupt gzip file ({error})") from error
    if len(content) > known.size:
        raise _RefusedError(f"sent other contents: more than {known.size:,} bytes")
    digest = hashlib.sha256(content).hexdigest()
    if digest != known.sha256:
        raise _RefusedError(f"sent other contents: {len(content):,} bytes with SHA-256 {digest[:8]}...")
    return content


def _refusal(error: BaseException, network: Network) -> _RefusedError:
    """Why a transfer failed, in plain words."""
    import requests

    if isinstance(error, _RefusedError):
        return error
    if isinstance(error, requests.HTTPError) and error.response is not None:
        status = error.response.status_code
        # Request timeout, too many requests, and the server's own troubles pass.
        again = status in (408, 429) or status >= 500
        return _RefusedError(f"HTTP {status} {http.client.responses.get(status, '')}".rstrip(), again=again)
    cause = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    if isinstance(cause, TimeoutError):
        return _RefusedError(f"sent nothing for {network.silence:g} s", again=True)
    # The server may have a say in the text: printable, one line, not too long.
    reason = str(getattr(cause, "strerror", None) or cause) or type(cause).__name__
    reason = " ".join("".join(c if c.isprintable() else " " for c in reason[:200]).split())
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return _RefusedError(f"broke off ({reason})", again=True)
    return _RefusedError(reason, again=isinstance(error, requests.ConnectionError))
