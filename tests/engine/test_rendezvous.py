"""Processes that wait for each other."""

import multiprocessing

import numpy as np
import pytest

from numnist.engine import rendezvous
from numnist.engine.memory import shared_memory
from numnist.engine.rendezvous import Rendezvous

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # from Python 3.12 on


@pytest.mark.parametrize("spin", [0, 1e-3])
def test_none_goes_on_before_all_have_come(spin: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one wrote before a meeting is what the others read after it, hundreds of times."""
    monkeypatch.setattr(rendezvous, "SPIN", spin)
    parties, rounds = 3, 200
    meetings, written = Rendezvous(parties), shared_memory((parties,), np.int64)
    wrong = shared_memory((parties,), np.int64)

    def work(party: int) -> None:
        for i in range(1, rounds):
            written[party] = i
            meetings.arrive(party)
            meetings.wait(party, lambda: True)
            wrong[party] += (written != i).sum()
            meetings.arrive(party)
            meetings.wait(party, lambda: True)

    fork = multiprocessing.get_context("fork")
    others = [fork.Process(target=work, args=(party,), daemon=True) for party in range(1, parties)]
    for other in others:
        other.start()
    work(0)
    for other in others:
        other.join(30)
        assert other.exitcode == 0
    assert written.tolist() == [rounds - 1] * parties
    assert not wrong.any()


def test_whoever_waits_for_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "CHECK", 0.01)
    asked = iter([True, True, False])
    with pytest.raises(EOFError, match="has ended"):
        Rendezvous(2).wait(0, lambda: next(asked))
    assert next(asked, None) is None


def test_shared_memory_without_values() -> None:
    assert shared_memory((0, 3)).shape == (0, 3)
