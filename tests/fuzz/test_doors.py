"""Damaged copies of good files at every door: a result, or one line."""

import json
import random
import struct
import time
import tracemalloc
from pathlib import Path

import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.door import answer
from tests.fuzz.doors import DOORS, described, small_model

from numnist.errors import InputError
from numnist.nn import load_model, save_model

EXAMPLES = {"command-line": 60, "picture": 60}


@pytest.mark.parametrize("name", DOORS)
def test_what_is_good_is_let_in(name: str) -> None:
    door = DOORS[name]
    let_in = [answer(door, content) for content in door.seeds()]
    assert let_in.count(True) >= len(let_in) / 2


@st.composite
def damaged(draw: st.DrawFn, name: str) -> bytes:
    """A good file after some accidents."""
    content = bytearray(draw(st.sampled_from(list(DOORS[name].seeds()))))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.sampled_from([1, 1, 2, 4, 8, 40]))
        accident = draw(st.sampled_from(["change", "cut", "insert", "repeat", "end", "zero", "full"]))
        if accident == "change" and content:
            content[place] = draw(st.integers(0, 255))
        elif accident == "cut":
            del content[place : place + length]
        elif accident == "insert":
            content[place:place] = draw(st.binary(max_size=length))
        elif accident == "repeat":
            content[place:place] = content[place : place + length] * draw(st.integers(1, 50))
        elif accident == "end":
            del content[place:]
        else:
            content[place : place + length] = bytes([0 if accident == "zero" else 255]) * length
    return bytes(content)


@pytest.mark.parametrize("name", DOORS)
def test_what_is_damaged_gets_a_result_or_one_line(name: str) -> None:
    @given(st.one_of(damaged(name), damaged(name), st.binary(max_size=200)))
    @settings(max_examples=EXAMPLES.get(name, 200), suppress_health_check=list(HealthCheck), database=None)
    def knock(content: bytes) -> None:
        answer(DOORS[name], content)

    knock()


def refused(path: Path) -> str:
    """What is said of a file, in bounded time and memory."""
    began = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 60  # seconds; a hang, not slowness
    return str(caught.value)


def test_a_hundred_thousand_tensors(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(small_model(), path)
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    header = {"__metadata__": metadata} | {
        f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(100_000)
    }
    packed = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(packed)) + packed)
    assert "tensor 't" in refused(path)


@pytest.mark.parametrize("shape", [[2**62, 4], [2**32, 2**32], [2**63], [-1], [1.5], ["x"]])
def test_shapes_that_overflow(tmp_path: Path, shape: list[object]) -> None:
    path = tmp_path / "model.safetensors"
    header: dict[str, object] = {"1.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}}
    path.write_bytes(described(DOORS["description"].seeds()[0], bytes(4), header))
    assert str(path) in refused(path)


@pytest.mark.parametrize("length", [2**63 - 1, 2**64 - 1, 2**40, 10**8 + 1, 9])
def test_a_header_that_promises_too_much(tmp_path: Path, length: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    assert str(path) in refused(path)


def test_a_network_larger_than_memory_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    text = json.loads(DOORS["description"].seeds()[0])
    text["layers"] = [
        {"type": "Flatten"},
        {"type": "Linear", "in_features": 64, "out_features": 2**40},
        {"type": "Linear", "in_features": 2**40, "out_features": 2},
    ]
    path.write_bytes(described(json.dumps(text).encode()))
    assert "tensor '1.weight' is missing" in refused(path)


def test_no_path_in_a_model_file_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model file names layers; what else it may name is never opened."""
    opened: list[str] = []
    monkeypatch.setattr("builtins.open", lambda name, *rest, **named: opened.append(str(name)))
    for name in ("../../etc/passwd", "http://example.org/x", "own.toml", "os.system"):
        text = json.loads(DOORS["description"].seeds()[0])
        text["layers"][0]["type"] = name
        path = tmp_path / "model.safetensors"
        path.write_bytes(described(json.dumps(text).encode(), bytes(0), {}))
        assert "unknown" in refused(path)
    assert opened == []


def test_a_pickle_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x80\x04\x95cposix\nsystem\n(S'touch harm'\ntR.")
    refused(path)
    assert not (tmp_path / "harm").exists()


def test_random_bytes_after_a_good_header(tmp_path: Path) -> None:
    good = DOORS["model"].seeds()[0]
    rng = random.Random(0)
    for _ in range(200):
        cut = rng.randrange(8, len(good))
        answer(DOORS["model"], good[:cut] + rng.randbytes(rng.randrange(0, 400)))
    assert safetensors.numpy.load(good)
