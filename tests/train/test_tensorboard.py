import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from numnist.data import Dataset
from numnist.errors import InputError
from numnist.nn import Model, Preprocess, build
from numnist.train import DivergenceError, RunFolder, TensorBoard, prepare, resolve, train
from numnist.train.tensorboard import EVERY, first_filters


def events(folder: Path) -> list[Any]:
    """What stands in the event files: records of a length, its checksum, the event, and its checksum."""
    found = []
    for path in folder.glob("events.*"):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            found.append(event_pb2.Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return found


def test_what_a_run_leaves(tmp_path: Path, dataset: Dataset) -> None:
    job = prepare(*resolve({"model": "mlp:8", "batch_size": 4, "epochs": 2}), dataset)
    board = TensorBoard(tmp_path / "board", job.model, job.trainer.executor)
    train(job, RunFolder(tmp_path, None, "mlp"), [board])
    points: dict[str, list[int]] = {}
    for event in events(tmp_path / "board"):
        for value in event.summary.value:
            points.setdefault(value.tag, []).append(event.step)
    steps = job.state.step
    assert points["train/loss"] == points["train/learning_rate"] == list(range(1, steps + 1, EVERY))
    assert points["validation/accuracy"] == [steps // 2, steps]
    names = job.model.named_parameters()
    assert {tag for tag in points if tag.startswith("weights/")} == {f"weights/{name}" for name in names}
    assert points["gradients/1.weight"] == [1, 2]


def test_a_run_that_diverges_says_so(tmp_path: Path, dataset: Dataset) -> None:
    settings = {"model": "mlp:8", "epochs": 1, "validation": 0, "batch_size": 1000}
    recipe, config = resolve(
        {**settings, "optim": {"kind": "sgd", "lr": 1e39}, "schedule": {"kind": "constant"}}
    )
    job = prepare(recipe, config, dataset)
    board = TensorBoard(tmp_path / "board", job.model, job.trainer.executor)
    with pytest.raises(DivergenceError):
        train(job, RunFolder(tmp_path, None, "mlp"), [board])
    board.close()
    assert events(tmp_path / "board")


def test_first_filters() -> None:
    model = Model(build("cnn", (1, 28, 28), 10), Preprocess()).initialise(np.random.default_rng(0))
    image = first_filters(model)
    assert image is not None
    assert image.shape == (1, 48, 16 * 48)
    assert image.dtype == np.uint8
    weight = model.named_parameters()["0.weight"][3, 0]
    shown = image[0, 4:40:8, 3 * 48 + 4 : 3 * 48 + 44 : 8].astype(float)
    assert np.corrcoef(shown.ravel(), weight.ravel())[0, 1] > 0.999
    assert first_filters(Model(build("linear", (1, 28, 28), 10), Preprocess())) is None


def test_what_goes_wrong_is_said_in_a_line(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = prepare(*resolve({"model": "mlp:8"}), dataset)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"^--tensorboard: "):
        TensorBoard(tmp_path / "file", job.model, job.trainer.executor)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(InputError, match=r'pip install "numnist\[tensorboard\]"'):
        TensorBoard(tmp_path / "board", job.model, job.trainer.executor)
