"""Files that are no picture, or too much of one: one line each, and memory bounded."""

import gzip
import io
import os
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.data.pictures import GREY, palette, png, refusal, saved

from numnist.arrays import Array
from numnist.data.image_files import read_image, read_pictures
from numnist.errors import InputError

PICTURE = "expected a picture (PNG, JPEG, WebP, BMP, GIF or TIFF)"
BOUNDS = "expected at most 16,384 pixels a side and 67,108,864 in all"
DAMAGED = "expected a whole picture, got a truncated or damaged one"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size and holds a few bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(10)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def frames(form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    first, second = Image.fromarray(GREY), Image.fromarray(255 - GREY)
    first.save(stream, form, save_all=True, append_images=[second], **options)
    return stream.getvalue()


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "expected a picture, got an empty file"),
    "text": ("ä".join("This is no picture.\n" * 40).encode(), f"{PICTURE}, got text"),
    "pdf": (b"%PDF-1.7\n\xe2\xe3", f"{PICTURE}, got a PDF: please save the page as PNG"),
    "heic": (
        b"\0\0\0\x18ftypheic\0\0\0\0",
        f"{PICTURE}, got HEIC, AVIF or a film: please save it as JPEG or PNG",
    ),
    "bytes": (bytes(range(200, 256)), f"{PICTURE}, got something else, or one damaged at its beginning"),
    "signature alone": (
        png(Image.fromarray(GREY))[:8],
        f"{PICTURE}, got something else, or one damaged at its beginning",
    ),
    "icon": (b"\0\0\1\0\1\0", f"{PICTURE}, got something else, or one damaged at its beginning"),
    "truncated PNG": (png(Image.fromarray(GREY))[:-30], DAMAGED),
    "no data": (png_header(100, 100), DAMAGED),
    "1 x 1": (png(Image.fromarray(GREY[:1, :1])), "expected at least 4 x 4 pixels, got 1 x 1"),
    "3 wide": (png(Image.fromarray(GREY[:, :3])), "expected at least 4 x 4 pixels, got 3 x 24"),
    "wide": (png_header(50_000, 10), f"{BOUNDS}, got 50,000 x 10"),
    "large": (png_header(10_000, 9_000), f"{BOUNDS}, got 10,000 x 9,000"),
    "bomb": (png_header(50_000, 50_000), f"{BOUNDS}, got far more"),
    "animated GIF": (frames("GIF"), "expected a single still picture, got an animation"),
    "animated PNG": (frames("PNG"), "expected a single still picture, got an animation"),
    "animated WebP": (frames("WEBP"), "expected a single still picture, got an animation"),
    "pages": (frames("TIFF"), "expected a single still picture, got several pages"),
    "truncated gzip": (gzip.compress(b"\0\0\x08\x03")[:10], "truncated gzip file"),
    "IDX of labels": (
        b"\0\0\x08\x01\0\0\0\x01\x07",
        "expected images of shape (N, H, W), got (1,): is this a file of labels?",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    content, message = BROKEN[case]
    path = tmp_path / "digit.png"
    path.write_bytes(content)
    assert refusal(path) == message


def test_a_truncated_jpeg_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.fromarray(GREY.repeat(20, axis=0)))
    path.write_bytes(path.read_bytes()[:-400])
    assert refusal(path) == DAMAGED


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tiff", Image.fromarray(np.full((9, 9), np.nan, np.float32)))
    assert refusal(path) == DAMAGED


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "expected a picture, got a folder"
    assert refusal(tmp_path / "nowhere.png") == "no such file"
    os.mkfifo(tmp_path / "pipe.png")
    assert refusal(tmp_path / "pipe.png") == "not a regular file"
    assert refusal(tmp_path / ("x" * 300)) == "cannot be read (File name too long)"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(GREY))

    def denied(self: Path, *arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert refusal(path) == "cannot be read (Permission denied)"


def test_a_name_with_a_line_break_stays_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^'.*two\\nlines\.png': no such file$"):
        read_image(tmp_path / "two\nlines.png")


@pytest.mark.parametrize("size", [(50_000, 1_000), (16_385, 16), (10_000, 9_000)])
def test_the_bound_holds_before_anything_is_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    """Real contents this time: 50 to 90 megapixels in some kilobytes."""
    path = saved(tmp_path / "a.png", Image.new("1", size))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tracemalloc.start()
        assert refusal(path).startswith(BOUNDS)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2**21


def test_memory_and_stderr_of_a_fresh_process(tmp_path: Path) -> None:
    """What Pillow allocates and what its libraries print, no tracer of Python's sees."""
    Image.new("1", (50_000, 3_000)).save(tmp_path / "wide.png")
    stream = io.BytesIO()
    Image.fromarray(GREY.repeat(9, axis=0)).save(stream, "TIFF", compression="tiff_lzw")
    (tmp_path / "damaged.tiff").write_bytes(stream.getvalue()[:-150] + bytes(150))
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from PIL import Image\n"
        "from numnist.data.image_files import read_image\n"
        "Image.init()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        read_image(Path(name))\n"
        "    except ValueError as error:\n"
        "        print(type(error).__name__)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    names = [str(tmp_path / "wide.png"), str(tmp_path / "damaged.tiff")]
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", script, *names], capture_output=True, text=True
    )
    assert done.stderr == ""
    *errors, grown = done.stdout.split()
    assert errors == ["InputError", "InputError"]
    assert int(grown) < 20 * 1024  # KiB; decoded, the wide one would have 150 million pixels


def sample(form: str, image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


SAMPLES = {
    "grey PNG": png(Image.fromarray(GREY)),
    "palette PNG": png(palette(Image.fromarray(GREY)), transparency=1),
    **{
        form: sample(form, Image.fromarray(GREY).convert("RGB"))
        for form in ("JPEG", "WEBP", "BMP", "GIF", "TIFF")
    },
}


@given(st.sampled_from(sorted(SAMPLES)), st.data())
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_ends_in_a_picture_or_in_one_line(tmp_path: Path, form: str, data: st.DataObject) -> None:
    content = bytearray(SAMPLES[form])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    path = tmp_path / "damaged"
    path.write_bytes(content)
    pictures: list[Array] = []
    message = f"{path}: "
    try:
        pictures = read_pictures(path)
    except InputError as error:
        message = str(error)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert all(picture.ndim == 2 and 0 <= picture.min() <= picture.max() <= 255 for picture in pictures)
