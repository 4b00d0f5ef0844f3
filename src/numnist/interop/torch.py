"""Weights from and to PyTorch: no torch is needed, the names and layouts are the same."""
