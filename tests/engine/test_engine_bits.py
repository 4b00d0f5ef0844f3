"""One seed gives the same bits on any number of cores, in threads as in processes, and in another process."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from tests.engine.helpers import Network, twins
from tests.engine.test_engine import ALL_KINDS

from numnist.engine import Engine, batch
from numnist.nn import StepResult
from numnist.optim import Adam

ROOT = Path(__file__).parents[2]
NETWORKS: dict[str, Network] = {"cnn": "cnn", "mlp": "mlp:300,20", "all kinds": ALL_KINDS}
SIZE = (18, 20)


def trained(name: str, threads: int, shard_size: int = 3) -> tuple[list[StepResult], str]:
    """Six steps with Adam, on batches of 13 (five shards) and 7; what they gave, and a digest of all bits."""
    model = twins(NETWORKS[name], SIZE).model
    engine = Engine(model, 0.1, threads, shard_size)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((13, 1, *SIZE), dtype=np.float32), rng.integers(0, 10, 13)
    optimizer = Adam()
    state = optimizer.init(model.parameters)
    digest, results = sha256(), []
    for step in range(6):
        n = 7 if step == 3 else 13
        results.append(engine.loss_and_grads(x[:n], y[:n], np.random.default_rng(step)))
        digest.update(engine.gradient.tobytes())
        optimizer.step(model.parameters, engine.gradient, state, lr=0.01)
        model.mark_changed()
        for array in (model.parameters, model.buffers, engine.predict(x)):
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


def test_another_network_or_shard_size_has_other_bits() -> None:
    """So the tests above can fail."""
    assert trained("cnn", 1, 3)[1] != trained("cnn", 1, 13)[1]
    assert trained("cnn", 1)[1] != trained("mlp", 1)[1]
