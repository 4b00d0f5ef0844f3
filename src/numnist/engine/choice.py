"""Executors by name."""

from typing import Literal, get_args

from numnist.engine.engine import Engine
from numnist.engine.reducer import ALONE, Reducer
from numnist.errors import unknown
from numnist.nn import Executor, Model, Reference

ExecutorName = Literal["engine", "reference"]
"""The fast executor, or the one that runs op by op."""


def make_executor(
    name: ExecutorName,
    model: Model,
    label_smoothing: float = 0.0,
    threads: int | None = None,
    shard_size: int | None = None,
    reducer: Reducer = ALONE,
) -> Executor:
    """The executor of this name for a model.

    threads, shard_size, reducer: see `Engine`; the reference needs none of them.
    Raises: ValueError for an unknown name, or what the executor cannot run.
    """
    if name == "engine":
        return Engine(model, label_smoothing, threads, shard_size, reducer)
    if name == "reference" and reducer.ranks > 1:
        raise ValueError("the reference runs in one process: its layers know of no other parts of a batch")
    if name == "reference":
        return Reference(model, label_smoothing)
    raise ValueError(unknown("executor", name, get_args(ExecutorName)))
