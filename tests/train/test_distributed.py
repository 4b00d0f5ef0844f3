"""Runs on several ranks, which are threads here: the same decisions everywhere, and those of one process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from tests.engine.ranks import Board, OnBoard, on_ranks

from numnist.arrays import Array
from numnist.data import Augmentation, Dataset
from numnist.engine import part_of
from numnist.errors import InputError
from numnist.train import (
    Callback,
    DivergenceError,
    OtherRankError,
    Run,
    RunFolder,
    on_the_first,
    prepare,
    resolve,
    together,
    train,
)

T = TypeVar("T")

SMOOTH = """
layers = [
    { type = "Conv2d", out_channels = 3, kernel_size = 3 },
    { type = "BatchNorm" },
    { type = "Tanh" },
    { type = "Conv2d", out_channels = 3, kernel_size = 3 },
    { type = "BatchNorm" },
    { type = "Tanh" },
    { type = "Flatten" },
    { type = "Dropout", rate = 0.2 },
    { type = "Linear", out_features = 6 },
    { type = "BatchNorm" },
    { type = "Tanh" },
    { type = "Linear", out_features = "classes" },
]
"""
"""A network without kinks: what is rounded differently stays small."""

TOLERANCE = 1e-5
"""Largest ‖a - b‖ / ‖b‖ of the weights behind a whole run, a on several ranks and b on one."""

SETTINGS: dict[str, Any] = {
    "batch_size": 33,  # 200 images: the last batch has two
    "epochs": 3,
    "optim": {"kind": "momentum", "lr": 0.02, "weight_decay": 1e-4},
    "augment": {"rotation": 9, "translation": 1, "elastic": 0.5, "erasing": 0.3},
    "label_smoothing": 0.1,
    "clip_norm": 1.0,
    "average": 0.9,
    "clean_epochs": 1,
    "keep_best": True,
    "early_stopping": {"patience": 9},
    "plateau": {"patience": 1, "factor": 0.5},
}


class OnBoardToo(OnBoard):
    """A rank that is a thread, with all that a run asks of it."""

    def __init__(self, board: Board, rank: int) -> None:
        super().__init__(board, rank)
        self.interrupted = self.agreed = ""
        self.decided = False
        self.threads: int | None = 1

    def add(self, values: Array, *numbers: float) -> tuple[float, ...]:
        asked, decided = zip(*self.collect((self.interrupted, self.decided)), strict=True)
        self.agreed, self.decided = max(asked), any(decided)  # "interrupted" < "terminated"
        return super().add(values, *numbers)

    def collect(self, value: T) -> list[T]:
        return self.board.exchange(self.rank, value)

    def share(self, value: T) -> T:
        return self.collect(value)[0]


@dataclass(frozen=True)
class Ended:
    """How a run ended on one rank."""

    run: Run
    stopped: str
    accuracy: float | None


@pytest.fixture
def network(tmp_path: Path) -> str:
    (tmp_path / "smooth.toml").write_text(SMOOTH)
    return str(tmp_path / "smooth.toml")


def go(
    ranks: int,
    dataset: Dataset,
    place: Path,
    network: str,
    *,
    observers: Callable[[OnBoardToo], list[Callback]] = lambda _: [],
    resume: bool = False,
    **changed: Any,
) -> list[Ended]:
    """Train on so many ranks in this folder; what each came to."""

    def of(rank: OnBoardToo) -> Ended:
        recipe, config = resolve({**SETTINGS, "model": network, **changed})
        run = prepare(recipe, config, dataset, threads=1, ranks=rank)
        folder = None
        if rank.rank == 0:
            folder = RunFolder.existing(place) if resume else RunFolder(place.parent, place.name, "smooth")
        outcome = train(run, folder, observers(rank), resume=resume)
        return Ended(run, outcome.stopped, outcome.test.accuracy if outcome.test else None)

    return on_ranks(ranks, of, OnBoardToo)


def error(a: Array, b: Array) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def history(place: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (place / "history.jsonl").read_text().splitlines()]


def require_close(ended: Ended, alone: Ended) -> None:
    assert ended.run.state.step == alone.run.state.step
    assert error(ended.run.model.parameters, alone.run.model.parameters) <= TOLERANCE
    assert error(ended.run.model.buffers, alone.run.model.buffers) <= TOLERANCE
    assert ended.accuracy == alone.accuracy


@pytest.fixture
def alone(dataset: Dataset, tmp_path: Path, network: str) -> Ended:
    [ended] = go(1, dataset, tmp_path / "alone", network)
    return ended


@pytest.mark.parametrize("ranks", [2, 3])
def test_a_run_on_several_ranks_is_that_of_one_process(
    ranks: int, alone: Ended, dataset: Dataset, tmp_path: Path, network: str
) -> None:
    ended = go(ranks, dataset, tmp_path / "several", network)
    for each in ended:
        require_close(each, alone)
        for same in ("parameters", "buffers"):
            first = getattr(ended[0].run.model, same)
            assert getattr(each.run.model, same).tobytes() == first.tobytes()
        assert each.run.state.lr_scale == alone.run.state.lr_scale
        assert each.run.model.temperature == ended[0].run.model.temperature
    for row, expected in zip(history(tmp_path / "several"), history(tmp_path / "alone"), strict=True):
        assert row == pytest.approx(expected, rel=TOLERANCE)


def test_only_the_first_rank_writes_and_says_on_how_many(
    alone: Ended, dataset: Dataset, tmp_path: Path, network: str
) -> None:
    go(2, dataset, tmp_path / "two", network)
    assert {path.name for path in (tmp_path / "two").iterdir()} == {
        path.name for path in (tmp_path / "alone").iterdir()
    }
    of_two, of_one = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("two", "alone"))
    assert of_two.keys() == of_one.keys()
    assert of_two["executor"] == {**of_one["executor"], "ranks": 2}


def test_what_is_not_finite_ends_all_ranks_with_the_same_words(
    dataset: Dataset, tmp_path: Path, network: str
) -> None:
    words: list[str] = []

    def of(rank: OnBoardToo) -> None:
        changed = {"optim": {"kind": "sgd", "lr": 1e30}, "clip_norm": None, "model": "mlp:8"}
        recipe, config = resolve({**SETTINGS, "model": network, **changed})
        run = prepare(recipe, config, dataset, threads=1, ranks=rank)
        folder = RunFolder(tmp_path, "wild", "smooth") if rank.rank == 0 else None
        with pytest.raises(DivergenceError) as raised:
            train(run, folder)
        words.append(str(raised.value))

    on_ranks(3, of, OnBoardToo)
    assert len(words) == 3
    assert len(set(words)) == 1
    assert "at step" in words[0]


def test_ranks_that_have_prepared_different_runs(dataset: Dataset, tmp_path: Path, network: str) -> None:
    said = []

    def of(rank: OnBoardToo) -> None:
        recipe, config = resolve({**SETTINGS, "model": network, "seed": rank.rank // 2})
        run = prepare(recipe, config, dataset, threads=1, ranks=rank)
        with pytest.raises(OtherRankError) as raised:
            train(run, RunFolder(tmp_path, "r", "smooth") if rank.rank == 0 else None)
        said.append(str(raised.value))

    on_ranks(3, of, OnBoardToo)
    assert (
        said == ["rank 2: another run than that of rank 0: settings.seed was 0 and is now 1"] * 3
        or said == ["rank 2: another run than that of rank 0: settings.seed was 1 and is now 0"] * 3
    )


def test_the_reference_is_refused(dataset: Dataset) -> None:
    board = Board(2)
    recipe, config = resolve({"model": "linear", "executor": "reference"})
    with pytest.raises(InputError, match="--executor: the reference"):
        prepare(recipe, config, dataset, ranks=OnBoardToo(board, 0))


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ({1: InputError("x.idx: broken")}, "rank 1: x.idx: broken"),
        ({0: InputError("--a: wrong"), 1: InputError("--a: wrong")}, "--a: wrong"),
        ({0: InputError("--a: wrong"), 1: MemoryError()}, "--a: wrong"),
        ({1: OSError(28, "No space left", "f")}, "rank 1: f: No space left"),
        ({1: MemoryError()}, "rank 1: not enough memory"),
    ],
)
def test_none_goes_on_where_one_cannot(errors: dict[int, Exception], words: str) -> None:
    said = []

    def fail(rank: OnBoardToo) -> None:
        with together(rank):
            if rank.rank in errors:
                raise errors[rank.rank]

    def of(rank: OnBoardToo) -> None:
        with pytest.raises(OtherRankError) as raised:
            fail(rank)
        said.append(str(raised.value))

    on_ranks(2, of, OnBoardToo)
    assert said == [words] * 2


def test_what_the_first_rank_does_all_know() -> None:
    assert on_ranks(3, lambda rank: on_the_first(rank, lambda: rank.rank + 7), OnBoardToo) == [7] * 3


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_a_part_of_a_batch_is_augmented_as_in_the_whole(ranks: int) -> None:
    augmentation = Augmentation(
        rotation=(-20, 30), translation=(-2, 2), scale=(0.8, 1.2), keep_ink=True, elastic=0.8, erasing=0.5
    )
    images = np.random.default_rng(0).integers(0, 255, (11, 9, 8), np.uint8)
    whole = augmentation.apply(images, np.random.default_rng(1))
    for rank in range(ranks):
        part = part_of(len(images), rank, ranks)
        of_part = augmentation.apply(images[part], np.random.default_rng(1), len(images), part.start)
        assert of_part.tobytes() == whole[part].tobytes()
