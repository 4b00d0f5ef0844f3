"""Each key is done once, whoever works, and whoever dies: on a journal file and on databases."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError

from numnist.errors import InputError
from numnist.study import Queue, open_storage
from numnist.study.queue import ATTEMPTS

DEFINITION = {"study": {"seeds": [1, 2]}, "data": "f" * 8}

Opened = Callable[[], Queue]


@pytest.fixture(params=["journal", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Opens the same storage anew, as another process would."""
    if request.param == "journal":
        place: str | Path = tmp_path / "journal.log"
    else:
        place = request.getfixturevalue("postgresql")
    name = f"{request.node.name}"

    queues = []

    def open_again() -> Queue:
        queues.append(Queue(open_storage(place, 1), name, 1, DEFINITION))
        return queues[-1]

    yield open_again
    for queue in queues:
        queue.close()


def test_what_is_offered_is_claimed_once_and_counts_once(opened: Opened) -> None:
    first, second = opened(), opened()
    assert first.offer(["a", "b"]) == 2
    assert second.offer(["a", "b", "c"]) == 1
    claims = [first.claim(), second.claim(), first.claim(), second.claim()]
    assert [claim.key if claim else None for claim in claims] == ["a", "b", "c", None]
    for claim in claims:
        if claim:
            assert first.complete(claim, 0.5, {"of": claim.key}, {"seconds": 1.5})
    assert second.rows() == {key: {"of": key} for key in "abc"}
    assert second.clocks()["a"] == {"seconds": 1.5}
    assert second.offer("abc") == 0
    assert second.running() == 0


def test_many_workers_at_once_never_get_the_same(opened: Opened) -> None:
    keys = [f"{number:02}" for number in range(12)]
    opened().offer(keys)
    taken: list[str] = []

    def work() -> None:
        queue = opened()
        while claim := queue.claim():
            taken.append(claim.key)
            queue.complete(claim, 0.0, {}, {})
        queue.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == keys


def test_a_trial_whose_worker_is_silent_is_offered_again(opened: Opened) -> None:
    dead, alive = opened(), opened()
    dead.offer(["a"])
    claim = dead.claim()
    assert claim is not None
    alive.bury_the_dead()
    assert alive.offer(["a"]) == 0  # it has only just begun
    until = time.monotonic() + 30
    while alive.offer(["a"]) == 0:
        alive.bury_the_dead()
        assert time.monotonic() < until
        time.sleep(0.1)
    again = alive.claim()
    assert again is not None
    assert alive.complete(again, 1.0, {"by": "alive"}, {})
    # The first one was only slow: it comes back, and is told that it is too late.
    assert not dead.complete(claim, 0.0, {"by": "dead"}, {})
    assert dead.rows() == {"a": {"by": "alive"}}


def test_a_worker_that_beats_is_left_alone(opened: Opened) -> None:
    worker, other = opened(), opened()
    worker.offer(["a"])
    claim = worker.claim()
    assert claim is not None
    with worker.beating(claim) as taken:
        time.sleep(4.5)  # longer than the grace
        other.bury_the_dead()
    assert not taken.is_set()
    assert other.offer(["a"]) == 0
    assert worker.complete(claim, 1.0, {}, {})


def test_a_worker_that_was_taken_for_dead_is_told(opened: Opened) -> None:
    worker, other = opened(), opened()
    worker.offer(["a"])
    claim = worker.claim()
    assert claim is not None
    with worker.beating(claim) as taken:
        other.give_back(claim)
        assert taken.wait(30)


def test_a_storage_that_does_not_answer_is_asked_again(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = opened()
    worker.offer(["a"])
    claim = worker.claim()
    assert claim is not None
    answers: list[str] = []

    def beat(_: object) -> None:
        answers.append("lost" if len(answers) < 2 else "there")
        if answers[-1] == "lost":
            raise StorageInternalError

    monkeypatch.setattr(worker, "beat", beat)
    with worker.beating(claim) as taken:
        until = time.monotonic() + 30
        while "there" not in answers and time.monotonic() < until:
            time.sleep(0.05)
    assert answers[:3] == ["lost", "lost", "there"]
    assert not taken.is_set()


def test_a_claim_has_a_beat_from_the_first_moment(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a worker that dies between the two would leave a trial that nobody ever takes for dead."""
    queue, order = opened(), list[str]()
    queue.offer(["a"])

    def noted(what: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*given: Any) -> Any:
            order.append(what)
            return act(*given)

        return noting

    monkeypatch.setattr(queue, "beat", noted("beat", queue.beat))
    running = noted("running", queue._storage.set_trial_state_values)
    monkeypatch.setattr(queue._storage, "set_trial_state_values", running)
    assert queue.claim() is not None
    assert order == ["beat", "running"]


def test_few_keys_are_offered_at_once_where_many_workers_offer(opened: Opened) -> None:
    queue = opened()
    assert queue.offer("abcdef", most=4) == 4
    assert queue.offer("abcdef", most=4) == 2
    assert queue.offer("abcdef", most=4) == 0


def test_what_has_failed_too_often_is_tried_again_when_it_is_forgiven(opened: Opened) -> None:
    queue = opened()
    for _ in range(ATTEMPTS):
        queue.offer(["a"])
        claim = queue.claim()
        assert claim is not None
        queue.give_back(claim, "trouble")
    assert queue.offer(["a"]) == 0
    opened().forgive()
    again = opened()
    assert again.troubles() == {}
    assert again.offer(["a"]) == 1


def test_the_heartbeat_is_that_of_whoever_began(opened: Opened) -> None:
    queue = opened()
    other = Queue(queue._storage, queue.name, 60, DEFINITION)
    assert other.heartbeat == 1
    assert Queue(queue._storage, queue.name, 60).heartbeat == 1


def test_a_study_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "journal.log", 10)
    optuna.create_study(study_name="theirs", storage=storage).enqueue_trial({"x": 1})
    for definition in (DEFINITION, None):
        with pytest.raises(InputError, match="holds something else under that name"):
            Queue(storage, "theirs", 10, definition)


def test_of_two_trials_of_one_key_the_earlier_is_the_one(opened: Opened) -> None:
    queue = opened()
    queue.offer(["a"])
    queue.study.enqueue_trial({}, user_attrs={"key": "a"})  # what another worker did at the same moment
    first = queue.claim()
    assert first is not None
    assert queue.claim() is None
    queue.complete(first, 0.0, {}, {})
    assert queue.offer(["a"]) == 0


def test_what_fails_is_tried_again_but_not_for_ever(opened: Opened) -> None:
    queue = opened()
    for attempt in range(ATTEMPTS):
        assert queue.troubles() == {}
        assert queue.offer(["a"]) == 1
        claim = queue.claim()
        assert claim is not None
        queue.give_back(claim, f"trouble {attempt}")
    assert queue.troubles() == {"a": f"trouble {ATTEMPTS - 1}"}
    assert queue.offer(["a"]) == 0


def test_what_is_given_back_without_trouble_may_be_so_often(opened: Opened) -> None:
    queue = opened()
    for _ in range(ATTEMPTS + 1):
        assert queue.offer(["a"]) == 1
        claim = queue.claim()
        assert claim is not None
        queue.give_back(claim)
    assert queue.offer(["a"]) == 1


def test_a_study_that_has_changed_is_refused_with_what_differs(opened: Opened, tmp_path: Path) -> None:
    queue = opened()
    other = json.loads(json.dumps(DEFINITION))
    other["study"]["seeds"] = [1, 3]
    with pytest.raises(InputError, match=r"has changed since: study\.seeds was \[1, 2\] and is now \[1, 3\]"):
        Queue(queue._storage, queue.name, 1, other)


def test_a_study_that_is_not_there_is_refused_with_those_that_are(opened: Opened) -> None:
    queue = opened()
    with pytest.raises(InputError, match="no study 'nowhere' in this storage: there are "):
        Queue(queue._storage, "nowhere", 1)


def test_half_a_line_in_a_journal_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    queue = Queue(open_storage(path, 10), "torn", 10, DEFINITION)
    queue.offer(["a"])
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code":8,"worker_')  # somebody was killed in the midst of it
    again = Queue(open_storage(path, 10), "torn", 10, DEFINITION)
    assert again.offer(["a", "b"]) == 1
    assert path.read_bytes().startswith(whole)
    assert all(json.loads(line) for line in path.read_bytes().splitlines())


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        ("postgresql://nobody@127.0.0.1:9/none", "cannot be reached"),
        ("oracel://here/there", "expected a file or postgresql://"),
        ("sqlite:///here.db", "expected a file or postgresql://"),
        ("postgresql://a:b:c:d/x", "expected a file or postgresql://"),
        ("postgresql://a:{x}@127.0.0.1:9/none", "cannot be reached"),
        ("postgresql://a:secret@127.0.0.1:9/none", "//…@127.0.0.1"),
    ],
)
def test_a_storage_that_cannot_be_is_named(storage: str, words: str) -> None:
    with pytest.raises(InputError, match="--storage: ") as error:
        open_storage(storage, 10)
    assert words in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "content", [b"no journal\n", b"{}\n", b'{"op_code": 99}\n', b"\xff\xfe\n", b"[1]\n", b"[" * 100_000]
)
def test_a_file_that_is_no_journal_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not the journal of a study"):
        Queue(open_storage(path, 10), "x", 10, DEFINITION)


def test_a_journal_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be a study's journal"):
        open_storage(tmp_path / "file" / "journal.log", 10)
