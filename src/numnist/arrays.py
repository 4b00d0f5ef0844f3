"""Names for array types, shared by every room."""

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""An array of any shape and dtype; shapes stand in the docstrings."""

Shape: TypeAlias = tuple[int, ...]
