"""Arithmetic of scores and of training steps, and what a device can do at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from recattn.config import STAGES, ModelConfig, Stage

EXPS_A_CLOCK = 16  # exponentials of one NVIDIA multiprocessor in a clock


class PairCost(NamedTuple):
    """Of one candidate for one request whose keys and values are there."""

    flops: float
    exps: float


def pair_cost(config: ModelConfig, length: float, stage: Stage) -> PairCost:
    """Products with keys and sums of values, 4 L D an attention, with L x heads exponentials.

    The deep score adds projections of the candidate (query, join, keep: 2 D^2 each) and a feed-forward of width 2 D
    (8 D^2) a layer; projections of the shared catalog and of the history are computed once and left out.
    """
    dim, heads, depth = config.dim, config.num_heads, STAGES.index(stage)
    flops, exps = 2.0 * dim, 0.0
    if depth >= 1:
        flops, exps = flops + 4 * length * dim + 2 * dim, exps + length * heads
    if depth >= 2:
        flops += config.deep_layers * (4 * length * dim + 14 * dim**2) + 2 * dim
        exps += config.deep_layers * length * heads
    return PairCost(flops, exps)


def counted_flops(step: Callable[[], Any]) -> int:
    """FLOP of the matrix products and fused attentions in one call of `step`, backward passes among them."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: _addmm_flops}) as counter:
        step()
    return counter.get_total_flops()


def _addmm_flops(added: torch.Size, a: torch.Size, b: torch.Size, *_: Any, **__: Any) -> int:
    """The sum in place, which torch's counter leaves out; from shapes."""
    return 2 * a[0] * a[1] * b[1]


def waiter(device: torch.device) -> Callable[[], object]:
    """What waits until the device has finished."""
    return torch.cuda.synchronize if device.type == "cuda" else lambda: None


def best_seconds(job: Callable[[], Any], device: torch.device, *, repeats: int = 10, calls: int = 10) -> float:
    """The least seconds of one of `calls` calls in a row, over `repeats` such rows, after one that warms up."""
    wait, found = waiter(device), []
    for _ in range(repeats + 1):
        wait()
        begin = time.perf_counter()
        for _ in range(calls):
            job()
        wait()
        found.append((time.perf_counter() - begin) / calls)
    return min(found[1:])


def limits(device: torch.device, *, size: int) -> dict[str, float]:
    """What the device does at most: FLOP/s of products of [size, size] by precision, bytes/s of a copy, exp/s.

    On NVIDIA the last is that of its special-function units by their number and clock; elsewhere it is measured on an
    array that fits in a cache.
    """
    before = torch.get_float32_matmul_precision()
    found: dict[str, float] = {}
    try:
        for name, dtype, precision in (
            ("float32", torch.float32, "highest"),
            ("tf32", torch.float32, "high"),
            ("bf16", torch.bfloat16, "high"),
        ):
            torch.set_float32_matmul_precision(precision)
            a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
            found[f"{name}_flops"] = 2 * size**3 / best_seconds(lambda a=a, b=b: a @ b, device)
    finally:
        torch.set_float32_matmul_precision(before)
    source = torch.randn(size * size, device=device)
    target = torch.empty_like(source)
    found["copy_bytes"] = 8 * size * size / best_seconds(lambda: target.copy_(source), device)
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        clock = getattr(about, "clock_rate", 0) * 1e3 or 1.83e9  # older torch does not tell
        found["exps"] = about.multi_processor_count * EXPS_A_CLOCK * clock
    else:
        cached = torch.randn(2**14)
        found["exps"] = 2**14 / best_seconds(cached.exp, device, calls=100)
    return found
