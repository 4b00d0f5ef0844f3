"""The doors of the program: whatever bytes come, each answers with a result or with one line.

`make test` knocks with damaged copies of good files (test_doors.py), `make torture` with what a
coverage-guided fuzzer makes of them (tools/torture_fuzz.py).
"""

import contextlib
import io
import json
import struct
from functools import cache, partial
from pathlib import Path

import numpy as np
import safetensors.numpy
from PIL import Image
from tests.fuzz.command_lines import command_line, command_line_seeds
from tests.fuzz.door import Door, saved, written

from numnist import cli
from numnist.arrays import Array
from numnist.data import Dataset, NoInkError, Split, read_images, read_labels, read_pictures, write_idx
from numnist.errors import InputError
from numnist.nn import Model, Preprocess, Reference, build, load_model, save_model
from numnist.predict import Predictor
from numnist.train import Run, load_checkpoint, prepare, resolve, save_checkpoint

# IDX


def idx(content: bytes) -> None:
    """A file of images or of labels, plain or compressed."""
    path = written(content, "idx")
    refusals = []
    for read in (read_images, read_labels):
        try:
            read(path)
        except InputError as error:
            refusals.append(error)
    if len(refusals) == 2:
        raise refusals[0]


def idx_seeds() -> list[bytes]:
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    arrays = [images, images.astype(np.float32), np.arange(5, dtype=np.int32), images[0]]
    return [saved(partial(_write_idx, array), f"idx{suffix}") for array in arrays for suffix in ("", ".gz")]


def _write_idx(array: Array, path: Path) -> None:
    write_idx(path, array)


# Models


def small_model(name: str = "mlp:3") -> Model:
    preprocess = Preprocess(image_size=(8, 8), classes=("a", "b"))
    model = Model(build(name, (1, 8, 8), 2), preprocess)
    return model.initialise(np.random.default_rng(0), "he_normal")


def model(content: bytes) -> None:
    """A model file, which is then used."""
    loaded = load_model(written(content, "model.safetensors"))
    H, W = loaded.preprocess.image_size
    if H * W <= 64 * 64 and loaded.layout.size <= 100_000:
        with np.errstate(all="ignore"):
            Reference(loaded).predict(loaded.preprocess(np.zeros((1, H, W), np.uint8)))


def described(text: bytes, tensors: bytes = b"", header: dict[str, object] | None = None) -> bytes:
    """A safetensors file with this text as its description."""
    metadata = {"__metadata__": {"numnist": text.decode("utf-8", "replace")}} | (header or {})
    packed = json.dumps(metadata).encode()
    return struct.pack("<Q", len(packed)) + packed + tensors


def description(content: bytes) -> None:
    """The text in a model file's header, the tensors of a good one behind it."""
    good = saved(lambda path: save_model(small_model(), path), "model")
    (length,) = struct.unpack("<Q", good[:8])
    header = json.loads(good[8 : 8 + length])
    header.pop("__metadata__")
    model(described(content, good[8 + length :], header))


def model_seeds() -> list[bytes]:
    models = [small_model(name) for name in ("mlp:3", "linear")]
    return [saved(partial(save_model, model), "m") for model in models]


def description_seeds() -> list[bytes]:
    texts = []
    for content in model_seeds():
        (length,) = struct.unpack("<Q", content[:8])
        texts.append(json.loads(content[8 : 8 + length])["__metadata__"]["numnist"].encode())
    return texts


# Checkpoints


@cache
def data() -> Dataset:
    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 255, (12, 8, 8), dtype=np.uint8), np.arange(12) % 2)
    return Dataset("tiny", split, split, 2, "0" * 64, ())


def new_run() -> Run:
    settings = {"model": "mlp:3", "executor": "reference", "keep_best": True, "average": 0.9, "validation": 2}
    return prepare(*resolve(settings), data())


@cache
def the_run() -> Run:
    return new_run()


def checkpoint(content: bytes) -> None:
    """A checkpoint of a run of these settings."""
    fresh = the_run()
    load_checkpoint(written(content, "checkpoint"), fresh.identity, fresh.model, fresh.state, fresh.callbacks)


def values(content: bytes) -> None:
    """The values in a checkpoint's header, with their right checksum."""
    from numnist.train import checkpoint_file

    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(content)
        good = safetensors.numpy.load(checkpoint_seeds()[0])
        digest = checkpoint_file.digest(content.decode("utf-8", "replace"), good)
        text = digest + content.decode("utf-8", "replace")
        checkpoint(safetensors.numpy.save(good, {checkpoint_file.METADATA_KEY: text}))
        assert isinstance(found, dict)


@cache
def checkpoint_seeds() -> list[bytes]:
    fresh = new_run()
    contents = []
    for epochs in (0, 1):
        fresh.trainer.fit(fresh.state, epochs, fresh.callbacks)
        contents.append(
            saved(
                lambda path: save_checkpoint(path, fresh.identity, fresh.model, fresh.state, fresh.callbacks),
                "c",
            )
        )
    return contents


def values_seeds() -> list[bytes]:
    texts = []
    for content in checkpoint_seeds():
        (length,) = struct.unpack("<Q", content[:8])
        texts.append(json.loads(content[8 : 8 + length])["__metadata__"]["numnist-checkpoint"][64:].encode())
    return texts


# Settings and networks


def settings(content: bytes) -> None:
    """A TOML file for --config."""
    resolve({}, config=written(content, "settings.toml"))


def settings_seeds() -> list[bytes]:
    folder = Path(cli.__file__).parents[1] / "train" / "recipes"
    return [path.read_bytes() for path in sorted(folder.glob("*.toml")) if path.stem != "record-ensemble"]


NETWORK = b"""
[[layers]]
type = "Conv2d"
out_channels = 2
kernel_size = 3
padding = "same"
[[layers]]
type = "Sequential"
layers = [{type = "BatchNorm"}, {type = "ReLU"}, {type = "MaxPool2d", size = 2}]
[[layers]]
type = "Flatten"
[[layers]]
type = "Dropout"
rate = 0.1
[[layers]]
type = "Linear"
out_features = "classes"
"""


def network(content: bytes) -> None:
    """A TOML file for --model."""
    try:
        build(str(written(content, "network.toml")), (1, 8, 8), 2)
    except (ValueError, MemoryError) as error:  # which the command line tells as one of --model
        raise InputError(" ".join(str(error).split())[:1999] or "too large") from error


# Pictures


@cache
def reader() -> Predictor:
    return Predictor(Model(build("linear", (1, 28, 28), 10), Preprocess()), executor=Reference)


def picture(content: bytes) -> None:
    """A picture to read a number in."""
    for grey in read_pictures(written(content, "picture"))[:3]:
        if grey.size <= 200_000:
            with contextlib.suppress(NoInkError):  # the command line says of which picture
                reader().read_number(grey)


def picture_seeds() -> list[bytes]:
    image = Image.new("L", (24, 20), 240)
    image.paste(20, (10, 4, 13, 16))
    found = []
    for form in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"):
        buffer = io.BytesIO()
        image.save(buffer, form)
        found.append(buffer.getvalue())
    buffer = io.BytesIO()
    image.convert("RGBA").save(buffer, "PNG")
    return [*found, buffer.getvalue(), idx_seeds()[0]]


DOORS = {
    "idx": Door(idx, idx_seeds),
    "model": Door(model, model_seeds),
    "description": Door(description, description_seeds),
    "checkpoint": Door(checkpoint, checkpoint_seeds),
    "values": Door(values, values_seeds),
    "settings": Door(settings, settings_seeds),
    "network": Door(network, lambda: [NETWORK]),
    "picture": Door(picture, picture_seeds),
    "command-line": Door(command_line, command_line_seeds),
}
