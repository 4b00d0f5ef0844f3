"""The text that `to_python` puts together: a head, the operations, a tail."""

HEAD = '''\
"""A classifier of grey images, written by numnist {version}. It needs NumPy alone.

    python <this file> image.npy

image.npy holds one image ({H}, {W}) or several (N, {H}, {W}), grey values {grey}, in
the form that the network was trained on: digits are bright on black, and centred. The
weights are in the .npz of the same name beside this file.
"""

import sys
from pathlib import Path

import numpy as np

{classes}
W = {{}}  # the weights of each layer, by its number: W["0"]["bias"]
with np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False) as arrays:
    for name in arrays:
        layer, _, kind = name.rpartition(".")
        W.setdefault(layer, {{}})[kind] = arrays[name]

'''

OPERATIONS = {
    "patches": '''
def patches(x, size, stride):
    """p[n,c,i,j,u,v] = x[n, c, stride*i+u, stride*j+v], u and v below size."""
    p = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
    return p[:, :, ::stride, ::stride]

''',
    "conv2d": '''
def conv2d(x, weight, bias, stride=1, padding=0):
    """y[n,o,i,j] = bias[o] + sum over c,u,v of p[n,c,i,j,u,v] * weight[o,c,u,v]."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    p = patches(x, weight.shape[2], stride)
    y = np.tensordot(p, weight, axes=((1, 4, 5), (1, 2, 3)))
    return np.moveaxis(y + bias, 3, 1)

''',
    "batch_norm": '''
def batch_norm(x, weight, bias, running_mean, running_var, eps):
    """y = weight * (x - running_mean) / sqrt(running_var + eps) + bias, per channel."""
    x = np.moveaxis(x, 1, -1)  # the channels last, where (C,) fits
    y = weight * (x - running_mean) / np.sqrt(running_var + eps) + bias
    return np.moveaxis(y, -1, 1)

''',
    "max_pool2d": '''
def max_pool2d(x, size, stride):
    """y[n,c,i,j] = the largest p[n,c,i,j,u,v] over u,v."""
    return patches(x, size, stride).max(axis=(4, 5))

''',
    "avg_pool2d": '''
def avg_pool2d(x, size, stride):
    """y[n,c,i,j] = the mean of p[n,c,i,j,u,v] over u,v."""
    return patches(x, size, stride).mean(axis=(4, 5))

''',
    "global_avg_pool2d": '''
def global_avg_pool2d(x):
    """y[n,c] = the mean of x[n,c,i,j] over i,j."""
    return x.mean(axis=(2, 3))

''',
    "linear": '''
def linear(x, weight, bias):
    """y[n,o] = bias[o] + sum over i of x[n,i] * weight[o,i]."""
    return x @ weight.T + bias

''',
    "relu": '''
def relu(x):
    """y = max(x, 0)."""
    return np.maximum(x, 0)

''',
    "leaky_relu": '''
def leaky_relu(x, slope):
    """y = x where x > 0, else slope * x."""
    return np.where(x > 0, x, slope * x)

''',
    "sigmoid": '''
def sigmoid(x):
    """y = 1 / (1 + exp(-x)), with no exponential that overflows."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)

''',
    "tanh": '''
def tanh(x):
    """y = (exp(x) - exp(-x)) / (exp(x) + exp(-x))."""
    return np.tanh(x)

''',
    "softmax": '''
def softmax(x):
    """y[...,k] = exp(x[...,k]) / sum over j of exp(x[...,j])."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)

''',
    "log_softmax": '''
def log_softmax(x):
    """y[...,k] = x[...,k] - log of the sum over j of exp(x[...,j])."""
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))

''',
}
"""The functions by name, those that others call first."""

TAIL = '''
def logits(images):
    """Scores (N, {K}) of the classes, for images (N, {H}, {W})."""
    if images.shape[1:] != ({H}, {W}):
        raise ValueError(f"expected images (N, {H}, {W}), got {{images.shape}}")
    x = images.astype(np.float32)[:, np.newaxis]
    x = (x * {scale!r} - {mean!r}) / {std!r}
{network}
    return x


def predict(images):
    """Probabilities (N, {K}) of the classes, for images (N, {H}, {W})."""
    return softmax(logits(images){temperature})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {{sys.argv[0]}} image.npy")
    given = np.load(sys.argv[1], allow_pickle=False)
    for p in predict(given if given.ndim == 3 else given[np.newaxis]):
        print(CLASSES[p.argmax()], f"{{p.max():.1%}}")
'''
