"""What NumPy does about errors, and how much it casts at a time."""

from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

BUFFER = 2048
"""Values that NumPy casts at a time: so few stay in the innermost cache until they are used."""


class NumPyContext:
    """The caller's context, but for the size of the buffer that NumPy casts through.

    Both, and how errors are handled, are in one context variable of NumPy, which is nobody else's to read. A
    context that is equal to one from before handles them as that did.
    """

    def __init__(self) -> None:
        self._error_handling = np.geterr()
        self._take_over(copy_context())

    def _take_over(self, callers: Context) -> None:
        self._callers, self._own = callers, callers.copy()
        self._own.run(np.setbufsize, BUFFER)

    def is_current(self) -> bool:
        """Whether NumPy treats errors for the caller now as it did for who made this."""
        callers = copy_context()
        if not _equal(callers, self._callers):
            if np.geterr() != self._error_handling:
                return False
            self._take_over(callers)
        return True

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function as the caller would, when `is_current` has been found out."""
        return self._own.copy().run(function, *arguments)


def _equal(one: Context, other: Context) -> bool:
    """Whether two contexts have the same values; False where they cannot be compared."""
    try:
        return one == other
    except Exception:  # some value's __eq__, such as an array's
        return False
