"""Worker processes: they come when needed, and go with their engine."""

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
import pytest
from tests.engine.helpers import twins
from tests.engine.layers import FLATTEN, linear
from tests.engine.test_engine import ALL_KINDS, SIZE, assert_like_new, step

from numnist.engine import Engine, crew, member, rendezvous
from numnist.engine.batch import SPLIT
from numnist.engine.kernels import dense
from numnist.engine.kernels.winograd_convolution import WinogradConvolution
from numnist.engine.memory import shared_memory
from numnist.nn import Model
from numnist.optim import SGD, Update


@pytest.fixture
def before() -> set[int]:
    """Child processes that were there before the test."""
    gc.collect()
    return {child.ident or 0 for child in multiprocessing.active_children()}


def workers(before: set[int]) -> list[BaseProcess]:
    return [child for child in multiprocessing.active_children() if child.ident not in before]


def model() -> Model:
    return twins(ALL_KINDS, SIZE).model


def test_workers_end_with_their_engine(before: set[int]) -> None:
    engine = Engine(model(), threads=3, shard_size=2)
    assert not workers(before)
    for n in (7, 5):
        step(engine, n)
    assert len(workers(before)) == 4  # two for each size
    del engine
    assert not workers(before)


def test_no_more_workers_than_shards_and_none_for_one(before: set[int]) -> None:
    engine = Engine(model(), threads=8, shard_size=4)
    step(engine, 8)
    assert len(workers(before)) == 1
    engine = Engine(model(), threads=8, shard_size=8)
    gc.collect()
    step(engine, SPLIT - 1)
    assert not workers(before)
    engine = Engine(model(), threads=1, shard_size=2)
    step(engine, 8)
    assert not workers(before)


def test_memory_for_sizes_that_are_no_longer_used_is_given_back(before: set[int]) -> None:
    engine = Engine(model(), threads=2, shard_size=2)
    for n in range(4, 10):
        step(engine, n)
    gc.collect()
    assert 0 < len(workers(before)) <= 2


def test_an_ended_worker_is_noticed(before: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "CHECK", 0.05)
    network = model()
    engine = Engine(network, threads=2, shard_size=4)
    step(engine, 7)
    [worker] = workers(before)
    assert worker.ident is not None
    os.kill(worker.ident, signal.SIGKILL)
    worker.join()
    with pytest.raises(EOFError, match="has ended"):
        step(engine, 7)
    assert_like_new(engine, network, 7)


@pytest.mark.parametrize(
    ("threads", "where", "name"),
    [(1, crew, "advance"), (2, member, "advance"), (2, rendezvous.Rendezvous, "wait")],
    ids=["one process", "between meetings", "waiting for the other process"],
)
@pytest.mark.parametrize("calls", range(4))
def test_an_interrupted_step_leaves_no_trace(
    threads: int, where: Any, name: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C, after so many calls of what a step calls wherever shards meet."""
    network = model()
    engine = Engine(network, threads=threads, shard_size=4)
    step(engine, 7)
    interrupts_after = [calls]
    original = getattr(where, name)

    def interrupting(*arguments: Any) -> Any:
        interrupts_after[0] -= 1
        if interrupts_after[0] == -1:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(where, name, interrupting)
        with pytest.raises(KeyboardInterrupt):
            step(engine, 7)
    assert_like_new(engine, network, 7)
    step(engine, 5)
    assert_like_new(engine, network, 7)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # from Python 3.12 on
def test_an_engine_goes_on_in_a_forked_process() -> None:
    """Its threads and workers stayed with the other."""
    network = model()
    engine = Engine(network, threads=2, shard_size=4)
    step(engine, 7)
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()

    def work() -> None:
        try:
            assert_like_new(engine, network, 7)
            there.send("equal")
        except BaseException as error:
            there.send(repr(error))

    process = fork.Process(target=work)
    process.start()
    answer = here.recv() if here.poll(30) else "no answer"
    process.kill()
    process.join()
    assert answer == "equal"
    assert_like_new(engine, network, 7)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("sample", [0, 6], ids=["first shard", "last shard"])
def test_numpy_warns_as_the_caller_wants_it_to(sample: int, threads: int) -> None:
    """What overflows in any process is an error, if the caller has said so by then, and of its own type."""
    network = twins([FLATTEN, linear(5), linear()], SIZE).model
    engine = Engine(network, threads=threads, shard_size=4)
    x = np.zeros((7, 1, *SIZE), np.float32)
    x[sample] = 1e38
    network.named_parameters()["1.weight"][...] = 1e3
    with np.errstate(all="ignore"):
        engine.loss_and_grads(x, np.arange(7), None)
    with np.errstate(all="ignore", over="raise"), pytest.raises(FloatingPointError, match="overflow"):
        engine.loss_and_grads(x, np.arange(7), None)
    with np.errstate(all="ignore"):
        engine.loss_and_grads(x, np.arange(7), None)


class UnusualError(Exception):
    """An error that cannot be pickled."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (MemoryError("no room"), MemoryError, "^no room$"),
        (UnusualError("this", "that"), RuntimeError, "in a worker process: UnusualError: this: that"),
        (ValueError("too long " * 10**5), RuntimeError, "in a worker process: ValueError: too long too long"),
    ],
)
def test_what_is_raised_in_a_worker_is_raised_here(
    error: Exception, kind: type[Exception], message: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, here, original = model(), os.getpid(), dense.DenseWork.forward

    def failing(self: Any, rng: Any) -> Any:
        if os.getpid() != here:
            raise error
        return original(self, rng)

    with monkeypatch.context() as patch:
        patch.setattr(dense.DenseWork, "forward", failing)
        engine = Engine(network, threads=threads, shard_size=2)
        with pytest.raises(kind, match=message):
            step(engine, 7)
    assert_like_new(engine, network, 7)


def test_workers_end_though_the_process_heeds_no_signal(before: set[int]) -> None:
    """Nor do they heed it for those who forked them."""
    handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        engine = Engine(model(), threads=2, shard_size=4)
        step(engine, 7)
        [worker] = workers(before)
        del engine
        assert worker.exitcode is not None
    finally:
        signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize("then", ["step", "step of another size", "prediction", "update"])
def test_what_fails_while_nobody_waits_is_said_at_the_next_call(
    then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind an update others derive what the next step needs, while this process goes on."""
    network, here, original = model(), os.getpid(), WinogradConvolution.refresh
    fails = shared_memory((1,), bool)

    def refresh(stage: WinogradConvolution, training: bool) -> None:
        if fails[0] and os.getpid() != here:
            raise MemoryError("no room")
        original(stage, training)

    monkeypatch.setattr(WinogradConvolution, "refresh", refresh)
    engine = Engine(network, threads=2, shard_size=4)
    update = Update(SGD(), SGD().init(network.parameters))
    step(engine, 5)
    step(engine, 7)
    fails[0] = True
    engine.update(update, 0.0)
    calls: dict[str, Callable[[], object]] = {
        "step": lambda: step(engine, 7),
        "step of another size": lambda: step(engine, 5),
        "prediction": lambda: engine.predict(np.zeros((3, 1, *SIZE), np.float32)),
        "update": lambda: engine.update(update, 0.0),
    }
    with pytest.raises(MemoryError, match=r"^no room$"):
        calls[then]()
    fails[0] = False
    assert_like_new(engine, network, 7)
    assert_like_new(engine, network, 5)
