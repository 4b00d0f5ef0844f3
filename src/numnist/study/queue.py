"""The trials of a study, claimed by workers that come and go: each is done once, whoever dies on the way."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numnist.errors import InputError
from numnist.study.storage import GRACE, optuna
from numnist.train.checkpoint import differences

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

KEY, ROW, BEAT, CLOCK, TROUBLE = "key", "row", "beat", "clock", "trouble"
"""Attributes of trials in the storage."""

DEFINITION, HEARTBEAT, FORGIVEN = "definition", "heartbeat", "forgiven"
"""Attributes of the study."""

ATTEMPTS = 3
"""Failures of a trial, not counting the deaths of its worker, after which it is not tried again."""


@dataclass(frozen=True)
class Claim:
    """A trial that this worker has, and no other. number: of the trial in the storage. key: of what to do."""

    id: int
    number: int
    key: str


class Queue:
    """What is to be done, under keys, and what came of it.

    A key is done when a trial of it is complete, and counts once: as its first such trial. A worker that
    lives beats; a trial whose worker has been silent for too long is failed, and its key is put in again.
    Databases have such a heartbeat in Optuna. A journal file has none: there the worker writes the time of
    its last beat beside the trial.

    heartbeat: seconds between two signs of life. It is the study's: what it was begun with holds for all.
    Raises: InputError where the storage has a study of this name with another definition, and what differs;
            where it has none, and `definition` is None.
    """

    def __init__(
        self,
        storage: "BaseStorage",
        name: str,
        heartbeat: float,
        definition: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._library = library = optuna()
        self._states = library.trial.TrialState
        self._done = (self._states.COMPLETE, self._states.PRUNED)
        self._finished = library.exceptions.UpdateFinishedTrialError
        self._trouble = (library.exceptions.StorageInternalError, OSError)
        self.name, self._clock = name, clock
        if definition is None:
            try:
                self.study = library.load_study(study_name=name, storage=storage)
            except KeyError as error:
                known = [summary.study_name for summary in storage.get_all_studies()]
                names = f"there are {', '.join(sorted(known))}" if known else "there is none"
                raise InputError(f"no study {name!r} in this storage: {names}") from error
        else:
            self.study = library.create_study(
                study_name=name, storage=storage, direction="maximize", load_if_exists=True
            )
        self._storage = self.study._storage  # which remembers the trials of a database that have ended
        self._id = storage.get_study_id_from_name(name)
        if DEFINITION not in self.study.user_attrs and (definition is None or self.trials()):
            raise InputError(f"study {name}: this storage holds something else under that name")
        if definition is not None:
            self._agree_on(definition, heartbeat)
        self.heartbeat: float = self.study.user_attrs[HEARTBEAT]
        self._beats_by_itself = library.storages._heartbeat.is_heartbeat_enabled(storage)
        if self._beats_by_itself:
            vars(storage).update(heartbeat_interval=self.heartbeat, grace_period=GRACE * self.heartbeat)

    def _agree_on(self, definition: Mapping[str, Any], heartbeat: float) -> None:
        """Write what the study is, unless it has been written; InputError where that was something else."""
        ours = json.loads(json.dumps(definition, default=str))
        if DEFINITION not in self.study.user_attrs:
            self.study.set_user_attr(HEARTBEAT, heartbeat)
            self.study.set_user_attr(DEFINITION, ours)
        if differ := differences(ours, self.study.user_attrs[DEFINITION]):
            more = f" (and {len(differ) - 1} more)" if len(differ) > 1 else ""
            raise InputError(
                f"study {self.name} has begun, and has changed since: {differ[0]}{more}: "
                "give it another --name, or take the change back"
            )

    @property
    def definition(self) -> dict[str, Any]:
        """What the study is, as whoever began it wrote it down."""
        return dict(self.study.user_attrs[DEFINITION])

    def fresh_study(self, **more: Any) -> "Study":
        """The study as it is now: one that is used on goes by the trials that it saw first."""
        study = self._library.load_study(study_name=self.name, storage=self._storage, **more)
        study.get_trials(deepcopy=False)
        return study  # type: ignore[no-any-return]

    def close(self) -> None:
        """Let go of this thread's connection; it is made anew when it is needed."""
        self._storage.remove_session()

    def trials(self) -> list["FrozenTrial"]:
        """All trials as they are now."""
        found: list[FrozenTrial] = self._storage.get_all_trials(self._id, deepcopy=False)
        return found

    def rows(self) -> dict[str, dict[str, Any]]:
        """What came of each key that is done."""
        return {trial.user_attrs[KEY]: trial.user_attrs[ROW] for trial in self._complete()}

    def clocks(self) -> dict[str, dict[str, Any]]:
        """What a clock said of each key that is done: seconds, machine."""
        return {trial.user_attrs[KEY]: trial.user_attrs.get(CLOCK, {}) for trial in self._complete()}

    def _complete(self) -> Iterator["FrozenTrial"]:
        """The first complete trial of each key."""
        seen = set()
        for trial in self.trials():
            key = trial.user_attrs.get(KEY)
            if trial.state in self._done and key not in seen:
                seen.add(key)
                yield trial

    def running(self) -> int:
        """How many trials are being worked on, or were when their worker died."""
        return sum(trial.state == self._states.RUNNING for trial in self.trials())

    def troubles(self) -> dict[str, str]:
        """The keys that have failed too often, each with what happened last."""
        forgiven = self.study.user_attrs.get(FORGIVEN, -1)
        found: dict[str, list[str]] = {}
        for trial in self.trials():
            if TROUBLE in trial.user_attrs and trial.number > forgiven:
                found.setdefault(trial.user_attrs[KEY], []).append(trial.user_attrs[TROUBLE])
        return {key: words[-1] for key, words in found.items() if len(words) >= ATTEMPTS}

    def forgive(self) -> None:
        """Let what has failed so far be tried again."""
        if any(TROUBLE in trial.user_attrs for trial in self.trials()):
            self.study.set_user_attr(FORGIVEN, len(self.trials()) - 1)

    def offer(self, keys: Iterable[str], most: int | None = None) -> int:
        """Put in the keys of which no trial waits, runs or is complete; how many that were.

        most: so many at a time, where several workers offer the same ones.
        """
        known = {trial.user_attrs.get(KEY) for trial in self.trials() if trial.state != self._states.FAIL}
        known |= self.troubles().keys()
        missing = [key for key in dict.fromkeys(keys) if key not in known][:most]
        for key in missing:
            self.study.enqueue_trial({}, user_attrs={KEY: key})
        return len(missing)

    def claim(self) -> Claim | None:
        """Take the first trial that waits; None where none does. No two workers get the same."""
        for trial in self.trials():
            if trial.state != self._states.WAITING:
                continue
            claim = Claim(trial._trial_id, trial.number, trial.user_attrs[KEY])
            try:
                # Before it is ours: whoever dies in between leaves a trial that waits or has a beat.
                self.beat(claim)
                ours = self._storage.set_trial_state_values(claim.id, self._states.RUNNING)
            except self._finished:
                continue
            if not ours:
                continue
            # Two workers may have put in one key at the same time: then the earlier trial is the one.
            if any(
                other.user_attrs.get(KEY) == claim.key
                and other.number < claim.number
                and other.state != self._states.FAIL
                for other in self.trials()
            ):
                self.give_back(claim)
                continue
            return claim
        return None

    def beat(self, claim: Claim) -> None:
        """Give a sign of life."""
        if self._beats_by_itself:
            self._storage.record_heartbeat(claim.id)
        else:
            self._storage.set_trial_user_attr(claim.id, BEAT, self._clock())

    @contextmanager
    def beating(self, claim: Claim) -> Iterator[threading.Event]:
        """Give signs of life from a thread of its own meanwhile.

        The event is set when the worker was taken for dead: the trial is not its own any more. A storage that
        does not answer is asked again at the next beat.
        """
        ended, taken = threading.Event(), threading.Event()

        def beat() -> None:
            while not ended.wait(self.heartbeat):
                try:
                    self.beat(claim)
                    if self._storage.get_trial(claim.id).state != self._states.RUNNING:
                        taken.set()
                except self._finished:
                    taken.set()
                except self._trouble:
                    continue
                if taken.is_set():
                    break
            self.close()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield taken
        finally:
            ended.set()
            thread.join()

    def complete(
        self,
        claim: Claim,
        value: float,
        row: Mapping[str, Any],
        clock: Mapping[str, Any],
        pruned: bool = False,
    ) -> bool:
        """Write what came of a trial; nothing and False where its worker had been taken for dead.

        pruned: it was stopped early, because it was not promising.
        """
        state = self._states.PRUNED if pruned else self._states.COMPLETE
        try:
            self._storage.set_trial_user_attr(claim.id, ROW, dict(row))
            self._storage.set_trial_user_attr(claim.id, CLOCK, dict(clock))
            self._storage.set_trial_state_values(claim.id, state, [value])
        except self._finished:
            return False
        return True

    def give_back(self, claim: Claim, trouble: str = "") -> None:
        """Let go of a trial, so that its key is offered again. trouble: what happened, where it failed."""
        try:
            if trouble:
                self._storage.set_trial_user_attr(claim.id, TROUBLE, trouble)
            self._storage.set_trial_state_values(claim.id, self._states.FAIL)
        except self._finished:
            pass

    def bury_the_dead(self) -> None:
        """Fail the trials whose workers have been silent for `GRACE` heartbeats."""
        if self._beats_by_itself:
            self._library.storages.fail_stale_trials(self.study)
            return
        for trial in self.trials():
            if trial.state == self._states.RUNNING and self._is_silent(trial):
                self.give_back(Claim(trial._trial_id, trial.number, trial.user_attrs[KEY]))

    def _is_silent(self, trial: "FrozenTrial") -> bool:
        """Whether a journal says nothing of a trial's worker any more."""
        began = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
        last = max(trial.user_attrs.get(BEAT, 0.0), began)
        return bool(self._clock() - last > GRACE * self.heartbeat)
