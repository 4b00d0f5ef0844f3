"""What the tests of the engine share."""

import pytest

pytest.register_assert_rewrite("tests.engine.helpers")
