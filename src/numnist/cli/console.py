"""Where the commands print."""

from rich.console import Console

WIDE = 160
"""Columns where the output is no terminal: rich would assume 80 and cut tables that a file has room for."""


def plain_console() -> Console:
    """A console on stdout: as wide as the terminal, or wide enough; a name like "[v1]:x:" stays as it is."""
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = WIDE
    return console
