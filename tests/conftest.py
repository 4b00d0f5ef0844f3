"""What every room's tests share."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

# Deadlines measure the machine, not the code. CI tries the same examples every time, so that what lands does
# not depend on luck; people try others.
settings.register_profile("numnist", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("numnist")


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """A job in the background of a shell is started with SIGINT ignored, and programs respect that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def mnist_directory() -> Path:
    """Folder with the real MNIST; skips where NUMNIST_DATA is not set, fails where it is set and wrong.

    So CI, which sets the variable when it has the data, cannot pass without the tests on real MNIST.
    """
    named = os.environ.get("NUMNIST_DATA")
    if not named:
        pytest.skip("NUMNIST_DATA is not set: no real MNIST")
    directory = Path(named)
    if not any(directory.glob("train-images*")):
        pytest.fail(f"NUMNIST_DATA={named} holds no MNIST, so the tests on real MNIST cannot run")
    return directory


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; skips where there is none. One for all, since a process can drive no second one."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium here")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()
