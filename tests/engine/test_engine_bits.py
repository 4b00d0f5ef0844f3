"""One seed gives the same bits on any number of cores, in threads as in processes, and in another process."""

import subprocess
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, final

import numpy as np
import pytest
from tests.engine.helpers import Network, twins
from tests.engine.test_engine import ALL_KINDS
from threadpoolctl import threadpool_info, threadpool_limits

from numnist.arrays import Array, Shape
from numnist.engine import Engine, batch
from numnist.nn import (
    BatchNorm,
    Flatten,
    Gradients,
    Layer,
    Linear,
    Model,
    Preprocess,
    Sequential,
    StepResult,
)
from numnist.optim import Adam, Update

ROOT = Path(__file__).parents[2]
NETWORKS: dict[str, Network] = {"cnn": "cnn", "mlp": "mlp:300,20", "all kinds": ALL_KINDS}
SIZE = (18, 20)


def trained(name: str, threads: int, shard_size: int = 3) -> tuple[list[StepResult], str]:
    """Six steps with Adam, on batches of 13 (five shards) and 7; what they gave, and a digest of all bits.

    The engine makes some of the updates, and whoever calls it the others; some predictions come between.
    """
    model = twins(NETWORKS[name], SIZE).model
    engine = Engine(model, 0.1, threads, shard_size)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((13, 1, *SIZE), dtype=np.float32), rng.integers(0, 10, 13)
    optimizer = Adam()
    state = optimizer.init(model.parameters)
    update = Update(optimizer, state)
    digest, results = sha256(), []
    for step in range(6):
        n = 7 if step == 3 else 13
        results.append(engine.loss_and_grads(x[:n], y[:n], np.random.default_rng(step)))
        digest.update(engine.gradient.tobytes())
        if step == 4:
            optimizer.step(model.parameters, engine.gradient, state, lr=0.01)
            model.mark_changed()
        else:
            engine.update(update, 0.01)
        for array in (model.parameters, model.buffers, *([engine.predict(x)] if step in (1, 4, 5) else [])):
            assert np.isfinite(array).all()
            digest.update(array.tobytes())
    return results, digest.hexdigest()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_on_any_number_of_cores(name: str, threads: int) -> None:
    """Also where there are more of them than shards."""
    assert trained(name, threads) == trained(name, 1)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("threads", [2, 3])
def test_in_threads_where_there_is_no_fork(name: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    in_processes = trained(name, threads)
    monkeypatch.setattr(batch, "can_fork", lambda: False)
    assert trained(name, threads) == in_processes


@pytest.mark.parametrize("name", NETWORKS)
def test_in_another_process(name: str) -> None:
    script = f"from tests.engine.test_engine_bits import trained; print(trained({name!r}, 2))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(trained(name, 1))


@final
@dataclass(eq=False)
class ThreadsOfBlas(Layer):
    """A layer that no kernel knows, and whose output is the number of threads that BLAS may use."""

    per_sample: ClassVar[bool] = True
    seen: list[int] = field(default_factory=list)

    def forward(self, x: Array, training: bool, rng: np.random.Generator | None) -> tuple[Array, None]:
        self.seen += [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]
        return np.full_like(x, max(self.seen)), None

    def backward(self, dy: Array, cache: None) -> tuple[Array, Gradients]:
        return dy, {}

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


def test_blas_has_one_thread_in_every_process() -> None:
    """How it splits a sum among several changes the last bits; and they would be too many."""
    layer = ThreadsOfBlas()
    network = Sequential([Flatten(), Linear(SIZE[0] * SIZE[1], 10), layer, BatchNorm(10)])
    model = Model(network, Preprocess(SIZE)).initialise(np.random.default_rng(0))
    engine = Engine(model, threads=2, shard_size=4)
    x = np.ones((7, 1, *SIZE), np.float32)
    with threadpool_limits(2, user_api="blas"):
        engine.loss_and_grads(x, np.arange(7), None)
        engine.predict(x)
        assert {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"} == {2}
    assert set(layer.seen) == {1}
    # The mean over all samples, also those of the other process, was 1.
    np.testing.assert_allclose(model.named_buffers()["3.running_mean"], 0.1, rtol=1e-6)


def test_another_network_or_shard_size_has_other_bits() -> None:
    """So the tests above can fail."""
    assert trained("cnn", 1, 3)[1] != trained("cnn", 1, 13)[1]
    assert trained("cnn", 1)[1] != trained("mlp", 1)[1]
