"""What NumPy does about errors, and how much it casts at a time."""

from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

BUFFER = 2048
"""Values that NumPy casts at a time: so few stay in the innermost cache until they are used."""


def _of_numpy() -> "ContextVar[Any] | None":
    """The context variable that NumPy keeps both in: the one that `np.errstate` sets."""
    before = copy_context()
    with np.errstate(all="raise" if np.geterr()["over"] != "raise" else "ignore"):
        now = copy_context()
    changed = [variable for variable in now if now[variable] is not before.get(variable)]
    return changed[0] if len(changed) == 1 else None


VARIABLE = _of_numpy()


class NumPyContext:
    """How NumPy handles errors for whoever makes this, and with that a small buffer.

    To ask NumPy takes longer than to see that its variable holds the same object as before. Where it has no
    such variable it is asked.
    """

    def __init__(self) -> None:
        self._error_handling = np.geterr()
        self._callers, self._own = self._values()

    def is_current(self) -> bool:
        """Whether errors are handled so for the caller now."""
        if VARIABLE is None or VARIABLE.get(None) is not self._callers:
            if np.geterr() != self._error_handling:
                return False
            self._callers, self._own = self._values()
        return True

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function with the small buffer, and else as its caller would, where this `is_current`."""
        if VARIABLE is None:
            return copy_context().run(_with_small_buffer, function, *arguments)
        token = VARIABLE.set(self._own)
        try:
            return function(*arguments)
        finally:
            VARIABLE.reset(token)

    @staticmethod
    def _values() -> tuple[Any, Any]:
        """What NumPy's variable holds, and what it would hold with a small buffer."""
        if VARIABLE is None:
            return None, None
        own = copy_context()
        own.run(np.setbufsize, BUFFER)
        return VARIABLE.get(None), own[VARIABLE]


def _with_small_buffer(function: Callable[..., T], *arguments: Any) -> T:
    np.setbufsize(BUFFER)
    return function(*arguments)
