"""Record what PyTorch's optimizers, gradient clipping and learning-rate schedules compute.

Writes optimizers.json and schedules.json beside this file. The tests of `numnist.optim` compare with them and
need no PyTorch. Run with a Python that has torch:

    python tests/pytorch/record_optim.py

Names and options in the files are numnist's. Numbers are written so that they read back exactly, and the
same torch writes the same bytes.
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import lr_scheduler

STEPS = 10  # of each optimizer
SCHEDULE_STEPS = 100
HERE = Path(__file__).parent

# numnist's name: how torch is called, given numnist's options.
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": lambda p, momentum=0.9, **o: torch.optim.SGD(p, momentum=momentum, **o),
    "nesterov": lambda p, momentum=0.9, **o: torch.optim.SGD(p, momentum=momentum, nesterov=True, **o),
    "rmsprop": torch.optim.RMSprop,
    "adam": lambda p, beta1=0.9, beta2=0.999, decay="coupled", **o: torch.optim.Adam(
        p, betas=(beta1, beta2), decoupled_weight_decay=decay == "decoupled", **o
    ),
    "adamw": lambda p, beta1=0.9, beta2=0.999, **o: torch.optim.AdamW(p, betas=(beta1, beta2), **o),
}

CONSTANT = [0.01] * STEPS
VARYING = [round(0.02 * 0.7**t, 5) for t in range(STEPS)]

# (name, options, learning rates, whether the decay mask is used)
OPTIMIZER_CASES: list[tuple[str, dict[str, Any], list[float], bool]] = [
    ("sgd", {}, VARYING, False),
    ("sgd", {"weight_decay": 0.1}, CONSTANT, False),
    ("momentum", {}, VARYING, False),
    ("momentum", {"momentum": 0.5, "weight_decay": 0.05}, CONSTANT, True),
    ("nesterov", {}, VARYING, False),
    ("nesterov", {"momentum": 0.99, "weight_decay": 0.05}, CONSTANT, True),
    ("rmsprop", {}, CONSTANT, False),
    ("rmsprop", {"alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}, VARYING, True),
    ("adam", {}, CONSTANT, False),
    ("adam", {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3}, VARYING, False),
    ("adam", {"weight_decay": 0.1}, VARYING, True),
    ("adam", {"weight_decay": 0.1, "decay": "decoupled"}, CONSTANT, True),
    ("adamw", {}, CONSTANT, False),
    ("adamw", {"beta1": 0.95, "eps": 1e-6, "weight_decay": 0.5}, VARYING, True),
]

# (name, options); a warm-up's option `after` is such a pair itself.
SCHEDULE_CASES: list[tuple[str, dict[str, Any]]] = [
    ("constant", {"lr": 0.05}),
    ("step", {"lr": 0.1, "size": 30}),
    ("step", {"lr": 0.02, "size": 7, "gamma": 0.8}),
    ("multi-step", {"lr": 0.1, "milestones": [30, 80]}),
    ("multi-step", {"lr": 0.02, "milestones": [1, 8, 24, 25, 60], "gamma": 0.4}),
    ("exponential", {"lr": 0.1, "gamma": 0.95}),
    ("exponential", {"lr": 0.003, "gamma": 0.9}),
    ("cosine", {"lr": 0.1, "total_steps": 99}),
    ("cosine", {"lr": 0.05, "total_steps": 1000, "eta_min": 0.001}),
    ("one-cycle", {"peak": 0.01, "total_steps": 100}),
    (
        "one-cycle",
        {"peak": 0.5, "total_steps": 100, "pct_start": 0.25, "final_div_factor": 100.0, "anneal": "linear"},
    ),
    (
        "one-cycle",
        {"peak": 0.1, "total_steps": 101, "pct_start": 0.0, "div_factor": 10.0, "final_div_factor": 50.0},
    ),
    ("one-cycle", {"peak": 0.03, "total_steps": 937, "pct_start": 0.05, "div_factor": 4.0}),
    ("warm-up", {"after": ("cosine", {"lr": 0.1, "total_steps": 90}), "steps": 10}),
    (
        "warm-up",
        {
            "after": ("multi-step", {"lr": 0.2, "milestones": [20, 50], "gamma": 0.3}),
            "steps": 25,
            "start_factor": 0.01,
        },
    ),
    ("warm-up", {"after": ("exponential", {"lr": 0.1, "gamma": 0.9}), "steps": 1}),
]

# (gradient, max_norm)
CLIP_CASES: list[tuple[list[float], float]] = [
    ([3.0, -4.0, 12.0], 1.0),
    ([3.0, -4.0, 12.0], 13.0),
    ([3.0, -4.0, 12.0], 14.0),
    ([1e-7, -2e-7, 0.0], 1e-7),
]


def optimizer_steps(
    name: str,
    options: dict[str, Any],
    learning_rates: list[float],
    params: np.ndarray,
    grads: np.ndarray,
    decays: np.ndarray,
    dtype: torch.dtype,
) -> list[list[float]]:
    """The parameters after each step. Those that do not decay are a parameter group of their own."""
    groups = [torch.tensor(params[decays], dtype=dtype), torch.tensor(params[~decays], dtype=dtype)]
    optimizer = OPTIMIZERS[name]([{"params": [group]} for group in groups], lr=learning_rates[0], **options)
    optimizer.param_groups[1]["weight_decay"] = 0.0
    history = []
    for lr, g in zip(learning_rates, grads, strict=True):
        for group, part in zip(optimizer.param_groups, (g[decays], g[~decays]), strict=True):
            group["lr"] = lr
            group["params"][0].grad = torch.tensor(part, dtype=dtype)
        optimizer.step()
        now = np.empty(params.size, groups[0].numpy().dtype)
        now[decays], now[~decays] = (group.numpy() for group in groups)
        history.append([float(str(p)) for p in now])  # the fewest digits that read back as the same float32
    return history


def record_optimizers() -> dict[str, Any]:
    """Ten steps of each case, on gradients that are ordinary, noisy, large, tiny, rare and zero."""
    rng = np.random.default_rng(0)
    params = np.array([0.5, -1.5, 2.0, -0.25, 0.75, 1.0])
    grads = rng.normal(size=(STEPS, params.size)) * [0.3, 1.0, 100.0, 1e-4, 1.0, 0.0]
    grads[:, 4] *= np.arange(STEPS) % 3 == 1
    mask = np.array([True, True, False, True, False, True])
    cases = []
    for name, options, learning_rates, masked in OPTIMIZER_CASES:
        decays = mask if masked else np.ones_like(mask)
        case: dict[str, Any] = {"name": name, "options": options, "masked": masked, "lr": learning_rates}
        for dtype in (torch.float64, torch.float32):
            case[str(dtype).removeprefix("torch.")] = optimizer_steps(
                name, options, learning_rates, params, grads, decays, dtype
            )
        cases.append(case)
    return {
        "torch": torch.__version__,
        "params": params.tolist(),
        "grads": grads.tolist(),
        "decay_mask": mask.tolist(),
        "cases": cases,
        "clip": [clip(gradient, max_norm) for gradient, max_norm in CLIP_CASES],
    }


def clip(gradient: list[float], max_norm: float) -> dict[str, Any]:
    """One call of clip_grad_norm_ in float64."""
    parameter = torch.zeros(len(gradient), dtype=torch.float64, requires_grad=True)
    parameter.grad = torch.tensor(gradient, dtype=torch.float64)
    norm = torch.nn.utils.clip_grad_norm_([parameter], max_norm)
    return {
        "gradient": gradient,
        "max_norm": max_norm,
        "norm": norm.item(),
        "clipped": parameter.grad.tolist(),
    }


def base_rate(name: str, options: dict[str, Any]) -> float:
    """The rate that torch's optimizer is made with; a one-cycle replaces it by its own."""
    if name == "warm-up":
        return base_rate(*options["after"])
    return float(options["peak" if name == "one-cycle" else "lr"])


def torch_schedule(
    optimizer: torch.optim.Optimizer, name: str, options: dict[str, Any]
) -> lr_scheduler.LRScheduler:
    """Torch's scheduler for numnist's name and options."""
    o = {key: value for key, value in options.items() if key not in ("lr", "peak", "after")}
    match name:
        case "constant":
            return lr_scheduler.ConstantLR(optimizer, factor=1.0)
        case "step":
            return lr_scheduler.StepLR(optimizer, o.pop("size"), **o)
        case "multi-step":
            return lr_scheduler.MultiStepLR(optimizer, **o)
        case "exponential":
            return lr_scheduler.ExponentialLR(optimizer, **o)
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, o.pop("total_steps"), **o)
        case "one-cycle":
            strategy = "linear" if o.pop("anneal", "cosine") == "linear" else "cos"
            return lr_scheduler.OneCycleLR(
                optimizer, options["peak"], cycle_momentum=False, anneal_strategy=strategy, **o
            )
        case "warm-up":
            steps = o.pop("steps")
            rise = lr_scheduler.LinearLR(optimizer, total_iters=steps, **o)
            after = torch_schedule(optimizer, *options["after"])
            return lr_scheduler.SequentialLR(optimizer, [rise, after], milestones=[steps])
    raise ValueError(name)


def record_schedules() -> dict[str, Any]:
    """The learning rates of the first hundred updates of each case."""
    cases = []
    for name, options in SCHEDULE_CASES:
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=base_rate(name, options))
        schedule = torch_schedule(optimizer, name, options)
        rates = []
        for _ in range(SCHEDULE_STEPS):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            schedule.step()
        cases.append({"name": name, "options": options, "rates": rates})
    return {"torch": torch.__version__, "cases": cases}


def write(name: str, record: dict[str, Any]) -> None:
    """Write a record as JSON, one line per case."""
    lines = []
    for key, value in record.items():
        if key in ("cases", "clip"):
            rows = ",\n".join("  " + json.dumps(row) for row in value)
            lines.append(f'"{key}": [\n{rows}\n]')
        else:
            lines.append(f'"{key}": {json.dumps(value)}')
    (HERE / name).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    # SequentialLR passes a deprecated argument to the schedulers it holds.
    warnings.filterwarnings("ignore", message="The epoch parameter")
    write("optimizers.json", record_optimizers())
    write("schedules.json", record_schedules())
