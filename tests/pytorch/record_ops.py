"""Record in ops.npz what PyTorch computes for small inputs of every op, to hold ours against.

    python tests/pytorch/record_ops.py        in an environment with numpy and torch

Everything is float64, and the same torch writes the same bytes. The tests need only the file. Its keys:

    torch                                the version that computed the numbers
    OP/CASE/input/NAME                   what is differentiated by, in the order of `forward`'s arguments
    OP/CASE/parameter/NAME               the other arguments of `forward`, by their names in numnist.ops
    OP/CASE/output/y, .../output/dy      the result and the gradient that is sent back through it
    OP/CASE/gradient/NAME                the gradient for the input NAME
    OP/CASE/statistics/NAME              batch_norm only: the batch's mean and unbiased variance
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 -- as PyTorch's own documentation has it

RNG = np.random.default_rng(1998)
RECORD: dict[str, Any] = {"torch": np.array(torch.__version__)}


def normal(*shape: int) -> Any:
    return RNG.standard_normal(shape)


def record(case: str, function: Callable[..., Any], inputs: dict[str, Any], **parameters: Any) -> None:
    """Run a case forwards and backwards; parameters that are arrays reach the function as tensors."""
    leaves = {name: torch.tensor(value, requires_grad=True) for name, value in inputs.items()}
    others = {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for name, value in parameters.items()
    }
    y = function(*leaves.values(), **others)
    dy = torch.from_numpy(np.asarray(normal(*y.shape)))
    y.backward(dy)
    gradients = {name: leaf.grad for name, leaf in leaves.items()}
    kinds = {"input": inputs, "parameter": parameters, "output": {"y": y, "dy": dy}, "gradient": gradients}
    for kind, values in kinds.items():
        for name, value in values.items():
            array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
            RECORD[f"{case}/{kind}/{name}"] = array


def record_linear() -> None:
    record("linear/plain", F.linear, {"x": normal(4, 5), "weight": normal(3, 5), "bias": normal(3)})
    record("flatten/images", lambda x: torch.flatten(x, 1), {"x": normal(2, 3, 2, 3)})


def record_conv2d() -> None:
    for case, H, W, KH, KW, parameters in [
        ("plain", 5, 6, 3, 3, {}),
        ("padded", 4, 3, 5, 5, {"padding": 2}),
        ("strided", 6, 5, 3, 3, {"stride": 2}),
        ("rows_left_over", 6, 6, 3, 2, {"stride": 2, "padding": 1}),
        ("kernel_of_one", 5, 4, 1, 1, {"stride": 3, "padding": 1}),
    ]:
        inputs = {"x": normal(2, 2, H, W), "weight": normal(2, 2, KH, KW), "bias": normal(2)}
        record(f"conv2d/{case}", F.conv2d, inputs, **parameters)


def record_pools() -> None:
    def max_pool2d(x: Any, size: int, stride: int | None = None) -> Any:
        return F.max_pool2d(x, size, stride)

    def avg_pool2d(x: Any, size: int, stride: int | None = None) -> Any:
        return F.avg_pool2d(x, size, stride)

    for function in (max_pool2d, avg_pool2d):
        for case, H, W, parameters in [
            ("tiling", 4, 6, {"size": 2}),
            ("left_over", 5, 7, {"size": 3}),
            ("overlapping", 5, 6, {"size": 3, "stride": 1}),
            ("gaps", 7, 5, {"size": 2, "stride": 3}),
        ]:
            record(f"{function.__name__}/{case}", function, {"x": normal(2, 1, H, W)}, **parameters)
    ties = (RNG.random((2, 1, 5, 5)) < 0.3).astype(np.float64)
    record("max_pool2d/ties", max_pool2d, {"x": ties}, size=3, stride=2)
    record("global_avg_pool2d/plain", lambda x: x.mean((2, 3)), {"x": normal(2, 3, 4, 3)})


def record_batch_norm() -> None:
    def batch_norm(x: Any, weight: Any, bias: Any, fixed: Any = None, eps: float = 1e-5) -> Any:
        mean, var = (None, None) if fixed is None else fixed
        return F.batch_norm(x, mean, var, weight, bias, training=fixed is None, eps=eps)

    fixed = np.stack([normal(3), RNG.uniform(0.1, 3, 3)])
    for case, x in [("rows", 3 + 2 * normal(5, 3)), ("images", 3 + 2 * normal(2, 3, 3, 2))]:
        inputs = {"x": x, "weight": np.array([1.5, -0.7, 0.0]), "bias": normal(3)}
        record(f"batch_norm/training_{case}", batch_norm, inputs)
        record(f"batch_norm/training_large_eps_{case}", batch_norm, inputs, eps=0.5)
        record(f"batch_norm/evaluation_{case}", batch_norm, inputs, fixed=fixed)

        mean, var = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
        F.batch_norm(torch.from_numpy(x), mean, var, training=True, momentum=1.0)  # keeps nothing of the old
        RECORD[f"batch_norm/training_{case}/statistics/mean"] = mean.numpy()
        RECORD[f"batch_norm/training_{case}/statistics/unbiased_variance"] = var.numpy()


def record_activations() -> None:
    def leaky_relu(x: Any, slope: float = 0.01) -> Any:
        return F.leaky_relu(x, slope)

    zeros = np.array([-2.0, -0.0, 0.0, 3.0])
    record("relu/plain", F.relu, {"x": normal(3, 5)})
    record("relu/at_zero", F.relu, {"x": zeros})
    record("leaky_relu/plain", leaky_relu, {"x": normal(3, 5)})
    record("leaky_relu/steep", leaky_relu, {"x": normal(3, 5)}, slope=0.3)
    record("leaky_relu/at_zero", leaky_relu, {"x": zeros}, slope=0.3)

    wide = np.array([-1e4, -700.0, -30.0, -5.0, 0.0, 5.0, 30.0, 700.0, 1e4])
    for name, function in [("sigmoid", torch.sigmoid), ("tanh", torch.tanh)]:
        record(f"{name}/plain", function, {"x": 2 * normal(3, 5)})
        record(f"{name}/extreme", function, {"x": wide})
    extreme = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4 - 1, 1e4 + 1]])
    for name, function in [("softmax", torch.softmax), ("log_softmax", torch.log_softmax)]:
        along_rows = partial(function, dim=-1)
        for case, x in [("vector", normal(5)), ("rows", 2 * normal(3, 4)), ("stacked", normal(2, 2, 3))]:
            record(f"{name}/{case}", along_rows, {"x": x})
        record(f"{name}/extreme", along_rows, {"x": extreme})


def record_softmax_cross_entropy() -> None:
    def softmax_cross_entropy(logits: Any, targets: Any, label_smoothing: float = 0.0) -> Any:
        return F.cross_entropy(logits, targets, label_smoothing=label_smoothing)

    N, K = 4, 5
    logits, labels = 2 * normal(N, K), RNG.integers(0, K, N)
    soft = RNG.dirichlet(np.ones(K), N)
    unnormalised = soft * RNG.uniform(0.2, 3, (N, 1))
    extreme = RNG.choice([-1e4, 0.0, 1e4], (N, K)) + normal(N, K)
    for case, x, targets, smoothings in [
        ("labels", logits, labels, (0.0, 0.1, 1.0)),
        ("soft", logits, soft, (0.0, 0.1)),
        ("unnormalised", logits, unnormalised, (0.0, 0.3)),
        ("extreme_labels", extreme, labels, (0.0, 0.1)),
        ("extreme_soft", extreme, soft, (0.0, 0.1)),
    ]:
        for smoothing in smoothings:
            record(
                f"softmax_cross_entropy/{case}_smoothed_by_{smoothing}",
                softmax_cross_entropy,
                {"logits": x},
                targets=targets,
                label_smoothing=smoothing,
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    record_linear()
    record_conv2d()
    record_pools()
    record_batch_norm()
    record_activations()
    record_softmax_cross_entropy()
    np.savez(Path(__file__).with_name("ops.npz"), **RECORD)
