"""Tricks of the whole engine: a training step of the cnn (forward, loss, backward) on two cores."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from tricks_case import Case, Pair, agreeing, model_of, normal

from numnist.engine import Engine, batch, planner, rendezvous


@contextmanager
def setting(module: Any, name: str, value: Any) -> Iterator[None]:
    """A name of a module means something else for a while."""
    usual = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, usual)


def step(
    size: int, threads: int = 2, shard_size: int | None = None, name: str = "cnn"
) -> Callable[[], float]:
    """A step on a batch of random images; returns its loss."""
    engine = Engine(model_of(name), threads=threads, shard_size=shard_size)
    x, y = normal(size, 1, 28, 28), np.arange(size) % 10
    return lambda: engine.loss_and_grads(x, y, None).loss


def under(module: Any, name: str, value: Any, work: Callable[[], float]) -> Callable[[], float]:
    """The work, with this name of the module changed as long as it takes; processes begun there keep it."""

    def changed() -> float:
        with setting(module, name, value):
            return work()

    return changed


def against_one_core() -> Pair:
    """One worker, two."""
    return agreeing(step(128, threads=1), step(128))


def against_threads() -> Pair:
    """Threads, processes."""
    return agreeing(under(batch, "can_fork", lambda: False, step(128)), step(128))


def against_sleep() -> Pair:
    """A process that waits is woken, or looks for its message."""
    return agreeing(under(rendezvous, "SPIN", 0, step(128)), step(128))


def against_shards(size: int) -> Pair:
    """Shards of another size, of 64."""
    return agreeing(step(512, shard_size=size), step(512, shard_size=64))


def against_samples(size: int) -> Pair:
    """The mlp shared out by samples, by features."""
    with setting(planner, "LARGE", sys.maxsize):
        by_samples = step(size, name="mlp")
    return agreeing(by_samples, step(size, name="mlp"))


def against_hidden_values(size: int) -> Pair:
    """The mlp's hidden values cross between the processes, or parts of its logits do."""
    with setting(planner, "_joins", lambda _: False):
        hidden_values = step(size, name="mlp")
    return agreeing(hidden_values, step(size, name="mlp"))


CASES = [
    Case("two-cores", "batch 128: one core", "two processes", against_one_core),
    Case("processes", "batch 128: two threads", "two processes", against_threads),
    Case("spin", "batch 128: who waits sleeps", "who waits looks again for up to 1 ms", against_sleep),
    Case("shards-of-32", "batch 512: shards of 32", "shards of 64", partial(against_shards, 32)),
    Case("shards-of-128", "batch 512: shards of 128", "shards of 64", partial(against_shards, 128)),
    Case("features-32", "mlp, batch 32: by samples", "by features", partial(against_samples, 32)),
    Case(
        "logits-512",
        "mlp, batch 512: hidden values cross",
        "parts of logits",
        partial(against_hidden_values, 512),
    ),
    Case("features-512", "mlp, batch 512: by samples", "by features", partial(against_samples, 512)),
]
