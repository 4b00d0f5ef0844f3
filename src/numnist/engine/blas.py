"""BLAS at one thread, and back."""

from types import TracebackType

from threadpoolctl import ThreadpoolController


class OneBlasThread:
    """While this is entered, BLAS multiplies with one thread, wherever in the process it is called.

    The same as threadpoolctl's `limit`, which looks at every library anew; that shows in a step.
    """

    def __init__(self) -> None:
        self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        self._before: list[list[int | None]] = []

    def __enter__(self) -> None:
        threads = [library.get_num_threads() for library in self._libraries]
        self._before.append(threads)
        for library, before in zip(self._libraries, threads, strict=True):
            if before != 1:
                library.set_num_threads(1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for library, before in zip(self._libraries, self._before.pop(), strict=True):
            if before not in (None, 1):
                library.set_num_threads(before)
