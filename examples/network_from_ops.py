"""A convolutional network from operations alone: no layers, no model, no optimizer. Learns in seconds.

python examples/network_from_ops.py [EPOCHS]
"""

import sys

import numpy as np

from numnist.data import synthetic_digits
from numnist.ops import conv2d, flatten, linear, max_pool2d, relu, softmax_cross_entropy

EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
rng = np.random.default_rng(0)


def weights(*shape):
    """Normal, with the variance 2 / fan-in that ReLU asks for (He et al. 2015)."""
    return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)


parameters = {"W1": weights(8, 1, 5, 5), "b1": np.zeros(8, np.float32)}  # 28x28 -> 24x24, pooled to 12x12
parameters |= {"W2": weights(10, 8 * 12 * 12), "b2": np.zeros(10, np.float32)}
velocity = {name: np.zeros_like(p) for name, p in parameters.items()}


def forward(x):
    """The logits, and what the way back needs of each operation."""
    y, conv = conv2d.forward(x, parameters["W1"], parameters["b1"])
    y, positive = relu.forward(y)
    y, pool = max_pool2d.forward(y, 2)
    y, flat = flatten.forward(y)
    y, dense = linear.forward(y, parameters["W2"], parameters["b2"])
    return y, (conv, positive, pool, flat, dense)


def backward(dy, caches):
    """The gradient of every parameter: each operation's backward pass, in the opposite order."""
    conv, positive, pool, flat, dense = caches
    dy, dW2, db2 = linear.backward(dy, dense)
    dy = relu.backward(max_pool2d.backward(flatten.backward(dy, flat), pool), positive)
    _, dW1, db1 = conv2d.backward(dy, conv)
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


train, test = synthetic_digits(4000, seed=0), synthetic_digits(1000, seed=1)
images, unseen = (split.images[:, None].astype(np.float32) / 255 for split in (train, test))
for epoch in range(1, EPOCHS + 1):
    for batch in np.array_split(rng.permutation(len(images)), len(images) // 50):
        logits, caches = forward(images[batch])
        loss, loss_cache = softmax_cross_entropy.forward(logits, train.labels[batch])
        for name, gradient in backward(softmax_cross_entropy.backward(1.0, loss_cache), caches).items():
            velocity[name] = 0.9 * velocity[name] + gradient
            parameters[name] -= 0.02 * velocity[name]
    accuracy = (forward(unseen)[0].argmax(axis=1) == test.labels).mean()
    print(f"epoch {epoch}: loss of the last batch {loss:.3f}, accuracy on unseen digits {accuracy:.1%}")
