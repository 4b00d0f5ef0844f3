"""Checks of hyperparameters that layers share. Descriptions come from files, so types are checked too."""

from typing import Any


def require_integer(layer: str, name: str, value: Any, least: int) -> None:
    """ValueError naming layer and field unless value is an int (not a bool) of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{layer}: expected {name} to be an integer of at least {least}, got {value!r}")


def require_number(layer: str, name: str, value: Any, low: float, high: float) -> None:
    """ValueError naming layer and field unless low <= value < high."""
    # An integer too large for a float would otherwise be noticed only where it is used.
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value < min(high, 2**1023):
        raise ValueError(
            f"{layer}: expected {name} to be a number with {low} <= {name} < {high}, got {value!r}"
        )
