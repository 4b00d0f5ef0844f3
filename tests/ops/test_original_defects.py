"""Defects that the program before this one had in its operations. Each test fails on its defect."""

import numpy as np

from numnist.ops import conv2d, softmax, softmax_cross_entropy
from numnist.testing import check_gradients


def test_label_smoothing_is_in_the_backward_pass() -> None:
    # There, the loss was smoothed and the gradient was p - t, as if it were not.
    logits, labels = np.array([[2.0, -1.0, 0.5], [0.0, 1.0, -2.0]]), np.array([0, 2])
    loss, cache = softmax_cross_entropy.forward(logits, labels, label_smoothing=0.3)
    unsmoothed_loss, unsmoothed = softmax_cross_entropy.forward(logits, labels)
    assert loss != unsmoothed_loss

    q = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    dlogits = softmax_cross_entropy.backward(1.0, cache)
    np.testing.assert_allclose(dlogits, (softmax.forward(logits)[0] - q) / 2, rtol=1e-13)
    assert not np.allclose(dlogits, softmax_cross_entropy.backward(1.0, unsmoothed))
    check_gradients(
        lambda z: softmax_cross_entropy.forward(z, labels, 0.3), softmax_cross_entropy.backward, logits
    )


def test_conv2d_does_not_ignore_its_padding() -> None:
    # There, `padding` was accepted and never used: y kept the shape of a convolution without it.
    x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    ones, nothing = np.ones((1, 1, 3, 3)), np.zeros(1)
    y, cache = conv2d.forward(x, ones, nothing, padding=1)
    # With a kernel of ones: the sum of each value's neighbourhood, cut off at the border.
    np.testing.assert_array_equal(y[0, 0], [[12, 21, 16], [27, 45, 33], [24, 39, 28]])

    dx, dweight, _ = conv2d.backward(np.ones(y.shape), cache)
    assert dx.shape == x.shape
    # Each value lies in as many windows as it has neighbours, itself included.
    np.testing.assert_array_equal(dx[0, 0], [[4, 6, 4], [6, 9, 6], [4, 6, 4]])
    np.testing.assert_array_equal(dweight[0, 0], y[0, 0])
