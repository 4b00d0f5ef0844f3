"""The command line as a function, as the tests of the command line have it."""

import pytest
from tests.cli.conftest import Numnist


@pytest.fixture
def numnist(capsys: pytest.CaptureFixture[str]) -> Numnist:
    return Numnist(capsys)
