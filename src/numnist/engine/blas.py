"""BLAS at one thread, and back."""

from collections.abc import Callable
from types import TracebackType
from typing import Any

from threadpoolctl import ThreadpoolController

Get = Callable[[], int | None]
Set = Callable[[int], object]


class OneBlasThread:
    """While this is entered, BLAS multiplies with one thread, wherever in the process it is called.

    The same as threadpoolctl's `limit`, which looks at every library and symbol anew; that shows in a step.
    """

    def __init__(self) -> None:
        libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        # Of each library: what tells its number of threads, what sets it, and the numbers to go back to.
        self._libraries: list[tuple[Get, Set, list[int | None]]] = [
            (*_functions(library), []) for library in libraries
        ]

    def __enter__(self) -> None:
        for get, set_to, before in self._libraries:
            threads = get()
            before.append(threads)
            if threads != 1:
                set_to(1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, set_to, before in self._libraries:
            threads = before.pop()
            if threads is not None and threads != 1:
                set_to(threads)


def _functions(library: Any) -> tuple[Get, Set]:
    """What tells how many threads a library has, and what sets it.

    Of OpenBLAS with threads of its own its functions themselves: those of threadpoolctl do nothing in any but
    the first thread that calls them.
    """
    if library.internal_api == "openblas" and library.threading_layer != "openmp":
        for name in library.check_symbols:
            if hasattr(library.dynlib, name):
                return getattr(library.dynlib, name), getattr(library.dynlib, name.replace("get", "set"))
    return library.get_num_threads, library.set_num_threads
