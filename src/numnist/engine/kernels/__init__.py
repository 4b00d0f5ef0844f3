"""Kernels: each computes a few layers as one, and names the ops that it replaces."""
