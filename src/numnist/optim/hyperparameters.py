"""Hyperparameters that check themselves: the type of a field says which values it may take."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Range:
    """The numbers for which `holds` is true; `text` says in words which those are."""

    text: str
    holds: Callable[[Any], bool]

    def accepts(self, value: Any, number: type) -> bool:
        """Whether `value` is an int or float, as `number` says, for which `holds` is true."""
        kind = Integral if number is int else Real
        # True and False are integers to Python, and never meant as one here.
        return isinstance(value, kind) and not isinstance(value, bool) and self.holds(value)


Positive: TypeAlias = Annotated[float, Range("a finite number > 0", lambda x: 0 < x < math.inf)]
NonNegative: TypeAlias = Annotated[float, Range("a finite number >= 0", lambda x: 0 <= x < math.inf)]
Fraction: TypeAlias = Annotated[float, Range("a number in [0, 1)", lambda x: 0 <= x < 1)]
Factor: TypeAlias = Annotated[float, Range("a number in (0, 1]", lambda x: 0 < x <= 1)]
Count: TypeAlias = Annotated[int, Range("an integer >= 1", lambda n: n >= 1)]


@dataclass(frozen=True)
class Hyperparameters:
    """Base of the frozen records of hyperparameters (optimizers, schedules).

    At construction every field annotated with one of the ranges above, or with a Literal, is checked, and
    numbers are stored as Python's own (`float32(0.5)` becomes `0.5`), so that they never change the dtype of
    an array and can be written to any file.

    Raises: ValueError that names the class and the field.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for field in fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, self._checked(field.name, value, hints[field.name]))

    def _checked(self, name: str, value: Any, hint: Any) -> Any:
        """`value` as the type `hint` has it; a hint that is neither a range nor a Literal allows all."""
        if get_origin(hint) is Literal and value not in get_args(hint):
            raise self._error(name, " or ".join(map(repr, get_args(hint))), value)
        if get_origin(hint) is Annotated:
            number, *notes = get_args(hint)
            for limit in (note for note in notes if isinstance(note, Range)):
                if not limit.accepts(value, number):
                    raise self._error(name, limit.text, value)
                value = number(value)
        return value

    def _error(self, name: str, expected: str, value: object) -> ValueError:
        return ValueError(f"{type(self).__name__}: expected {name} to be {expected}, got {value!r}")
