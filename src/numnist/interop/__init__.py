"""Doors to other software, a module each.

`onnx`, `page` (a page to draw on), `python` (a file for NumPy alone), `sklearn`, `torch`.

Nothing is imported here: `onnx` and `sklearn` need the extra of their name.
"""
