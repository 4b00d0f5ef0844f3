"""How a download gets on, for a person to see: a bar on a terminal, one plain line otherwise; on stderr."""

import time
from typing import TYPE_CHECKING

from numnist.data.download import Progress

if TYPE_CHECKING:
    from rich.console import Console


def download_progress(name: str, console: "Console | None" = None) -> Progress:
    """What follows the download of the file `name`; hand this function to `load_mnist` as `progress`."""
    if console is None:
        from rich.console import Console

        console = Console(stderr=True)
    return _Bar(name, console) if console.is_interactive else _Line(name, console)


class _Bar:
    """Bytes, speed and time left, drawn by rich."""

    def __init__(self, name: str, console: "Console") -> None:
        from rich import progress

        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task(name, total=None)
        self._total = 0
        self._bar.start()

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        self._total = total
        self._bar.update(self._task, total=total or None)

    def update(self, amount: int) -> None:
        self._bar.advance(self._task, amount)

    def reset(self) -> None:
        self._bar.reset(self._task)

    def close(self) -> None:
        self._bar.stop()


class _Line:
    """One line when the file is there, nothing before and nothing when the attempt fails."""

    def __init__(self, name: str, console: "Console") -> None:
        self.total = 0
        self._name = name
        self._console = console
        self._start = time.monotonic()
        self._complete = False

    def update(self, amount: int) -> None:
        pass

    def reset(self) -> None:
        self._complete = True  # comes after the last byte and at no other time

    def close(self) -> None:
        if self._complete:
            self._complete = False
            size = f"{self.total / 1e3:,.0f} kB in " if self.total else ""
            seconds = time.monotonic() - self._start
            line = f"{self._name}: {size}{seconds:.1f} s"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
