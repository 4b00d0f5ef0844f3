"""The one exception for what comes from outside (files, flags, images), and help with misspelt names."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something a person handed in cannot be used.

    The message is one line that names the file or flag, says what was expected and what came. Commands
    print it on stderr and end with exit status 2. Errors of a caller in Python (a wrong shape, a wrong
    argument) are plain `ValueError`s.
    """


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """The words for a name that nobody knows: the nearest known one, or all of them where none is near.

    >>> unknown("layer type", "Conv2D", ["Conv2d", "Linear"])
    "unknown layer type 'Conv2D': did you mean 'Conv2d'?"
    """
    names = list(known)
    by_lower_case = {candidate.lower(): candidate for candidate in names}
    near = get_close_matches(str(name).lower(), by_lower_case, n=1)
    if near:
        return f"unknown {kind} {name!r}: did you mean {by_lower_case[near[0]]!r}?"
    return f"unknown {kind} {name!r}: expected one of {', '.join(names)}"
