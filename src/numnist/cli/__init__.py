"""The command `numnist`: find the subcommand, run it, and turn what goes wrong into one line."""

import importlib
import io
import os
import sys
from collections.abc import Sequence

from numnist import __version__
from numnist.errors import InputError, unknown

COMMANDS = {
    "train": "train a network, test it, save it",
    "evaluate": "test a saved model",
    "predict": "read the digits in pictures",
    "draw": "draw digits in the browser, read while the pen moves",
    "report": "write a page about runs: curves, mistakes, filters, where the time went",
    "view": "draw what a network has learned",
    "export": "write a model for other software: ONNX, Python with NumPy alone, a page to draw on",
    "summary": "show the layers of a model, their shapes and what they cost",
    "study": "run experiments of many runs, and say what they show",
    "search": "look for better settings",
    "data": "show where the data is and what is in it; export it",
}
"""The subcommands, each a module of this package with a function `run(arguments) -> exit status`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `numnist` with these arguments (default: those of the process); returns the exit status.

    0: done. 2: something that a person handed in cannot be used, told in one line on stderr. 1: the run
    failed. 130: Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a ? where the terminal or the file has no ×
    try:
        status = _dispatch(arguments)
        if sys.stdout is not None:  # None: closed before we began
            sys.stdout.flush()  # here, where a closed pipe can still be caught
    except BrokenPipeError:
        # Whoever read our output has left, so there is nobody to tell; keep Python from trying at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (InputError, KeyboardInterrupt, OSError, MemoryError) as error:
        return _complain(*explained(error))
    return status


def explained(error: BaseException) -> tuple[str, int]:
    """What is said of an error that is no defect of ours, in one line, and the exit status."""
    match error:
        case KeyboardInterrupt():
            return "interrupted", 130
        case OSError():
            return f"{error.filename or 'output'}: {error.strerror or error}", 2
        case MemoryError():
            return "not enough memory: try a smaller model, fewer images, or a smaller --batch-size", 1
    return " ".join(str(error).split()), 2


def _dispatch(arguments: Sequence[str]) -> int:
    """Hand over to the subcommand, whose module is imported only now."""
    if not arguments:
        print(_usage(), file=sys.stderr)  # noqa: T201
        return 2
    name, *rest = arguments
    if name in ("-h", "--help", "help"):
        print(_usage())  # noqa: T201
        return 0
    if name in ("-V", "--version"):
        print(f"numnist {__version__}")  # noqa: T201
        return 0
    if name not in COMMANDS:
        raise InputError(unknown("command", name, COMMANDS))
    status: int = importlib.import_module(f"numnist.cli.{name}").run(rest)
    return status


def _usage() -> str:
    """What `numnist --help` says."""
    commands = "\n".join(f"  {name:<10} {words}" for name, words in COMMANDS.items())
    return (
        "Handwritten-digit recognition with a neural network written from scratch in NumPy.\n\n"
        f"usage: numnist COMMAND [FLAGS]\n\n{commands}\n\n"
        "numnist COMMAND --help shows the flags of a command, numnist --version the version."
    )


def _complain(message: str, status: int) -> int:
    """One line on stderr."""
    print(f"numnist: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    return status
