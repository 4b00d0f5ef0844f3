"""Ranks that are threads of one process: the arithmetic of several processes, without MPI."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from numnist.arrays import Array

T = TypeVar("T")
R = TypeVar("R", bound="OnBoard")


class Board:
    """Where the ranks of a job leave what the others read."""

    def __init__(self, ranks: int) -> None:
        self.ranks = ranks
        self.barrier = threading.Barrier(ranks, timeout=60)
        self.left: list[Any] = [None] * ranks

    def exchange(self, rank: int, value: T) -> list[T]:
        """What all ranks have left, in their order."""
        self.left[rank] = value
        self.barrier.wait()
        values = list(self.left)
        self.barrier.wait()
        return values


class OnBoard:
    """The reducer of a rank that is a thread; counts what it is asked for."""

    def __init__(self, board: Board, rank: int) -> None:
        self.board, self.rank, self.ranks = board, rank, board.ranks
        self.gathered = self.added = 0

    def gather(self, row: Array, rows: Array) -> None:
        assert row.flags.c_contiguous
        assert rows.flags.c_contiguous
        assert rows.shape == (self.ranks, *row.shape)
        assert rows.dtype == row.dtype
        self.gathered += 1
        rows[...] = self.board.exchange(self.rank, row.copy())

    def add(self, values: Array, *numbers: float) -> tuple[float, ...]:
        assert values.dtype == np.float32
        self.added += 1
        found = self.board.exchange(self.rank, (values.copy(), numbers))
        values[...] = np.add.reduce([array for array, _ in found], axis=0)
        return tuple(map(sum, zip(*(others for _, others in found), strict=True)))


def on_ranks(ranks: int, work: Callable[[R], T], kind: type[R]) -> list[T]:
    """What `work` returns on each of so many ranks of a kind; raises what one of them raised first."""
    board = Board(ranks)
    results: list[Any] = [None] * ranks
    errors: list[BaseException] = []

    def run(rank: int) -> None:
        try:
            results[rank] = work(kind(board, rank))
        except BaseException as error:
            errors.append(error)
            board.barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
