"""Tests of the cross-entropy on all prefixes by running sums, against a masked softmax in float64."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from recattn.nn import prefix_softmax
from recattn.nn.prefix_softmax import PrefixAttention, prefix_softmax_loss, safe_block

NAMES = ("states", "items", "biases", *PrefixAttention._fields, "own_scores")
BOUND = 4.0


@dataclasses.dataclass
class Case:
    """The twelve inputs that have gradients, and what says where there is a loss."""

    inputs: list[Tensor]
    ends: Tensor
    wanted: Tensor
    hits: Tensor

    def loss(self, inputs: list[Tensor] | None = None, *, bound: float = BOUND) -> Tensor:
        first = self.inputs if inputs is None else inputs
        heads = PrefixAttention(*first[3:11])
        return prefix_softmax_loss(*first[:3], heads, first[11], self.ends, self.wanted, self.hits, bound=bound)

    def gradients(self, **named: Any) -> tuple[float, list[Tensor]]:
        inputs = [tensor.clone().requires_grad_() for tensor in self.inputs]
        loss = self.loss(inputs, **named)
        (2 * loss).backward()
        return float(loss.detach()), [tensor.grad for tensor in inputs]  # type: ignore[misc]

    def wanted_gradients(self) -> tuple[float, list[Tensor]]:
        inputs = [tensor.double().requires_grad_() for tensor in self.inputs]
        loss = masked(inputs, self.ends, self.wanted, self.hits)
        (2 * loss).backward()
        return float(loss.detach()), [torch.zeros_like(x) if x.grad is None else x.grad for x in inputs]


def masked(inputs: list[Tensor], ends: Tensor, wanted: Tensor, hits: Tensor) -> Tensor:
    """The same by a softmax of its own for each position, over what it sees and the null pair."""
    states, items, biases, q, u, k, v, null, out, gains, shifts, own = inputs
    scores = torch.einsum("bpd,sd->bps", states, items) + biases
    unseen = torch.arange(k.shape[2]) >= ends[:, :, None]
    logits = torch.einsum("hsk,bhtk->bhst", q, k) + gains[:, :, None]
    logits = logits[:, :, None].expand(-1, -1, states.shape[1], -1, -1)
    logits = logits.masked_fill(unseen[:, None, :, None], -torch.inf)
    nulls = (null[None, :, None] + shifts[..., None])[..., None]
    weights = torch.cat([logits, nulls], dim=-1).softmax(dim=-1)
    matches = torch.einsum("hsk,bhtk->bhst", u, v)[:, :, None].expand(-1, -1, states.shape[1], -1, -1)
    outs = out[None, :, None, :, None].expand(*nulls.shape)
    scores = scores + (weights * torch.cat([matches, outs], dim=-1)).sum(dim=-1).sum(dim=1)
    own_row = torch.arange(len(items)) == hits[:, :, None]
    every = torch.cat([own[..., None], scores.masked_fill(own_row, -torch.inf)], dim=-1)[wanted]
    return cross_entropy(every, torch.zeros(len(every), dtype=torch.int64)) if len(every) else 0 * own.sum()


def make(
    slope: float = 0.1, *, kind: str = "all", size: int = 13, length: int = 70, windows: int = 3, seed: int = 0
) -> Case:
    """Windows of T interactions and T + 1 positions; `slope` is how fast later interactions gain weight."""
    draw = torch.Generator().manual_seed(seed)
    heads, width, dim, positions = 2, 4, 8, length + 1

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    q, k = (
        normalize(normal(heads, size, width), dim=-1) * BOUND,
        normalize(normal(windows, heads, length, width), dim=-1),
    )
    gains = (torch.arange(length) * slope).expand(windows, heads, length).clone()
    shifts = (torch.arange(-1.0, positions - 1).clamp(min=0) * slope).expand(windows, heads, positions).clone()
    ends = torch.arange(positions).expand(windows, positions).clone()
    targets = torch.randint(0, size + 2, (windows, positions), generator=draw)  # 0: none, size + 1: not shared
    if kind in ("ties", "holes"):
        ends = (ends - torch.randint(0, 4, ends.shape, generator=draw)).clamp(min=0)
        shifts = gains.gather(2, (ends - 1).clamp(min=0)[:, None].expand_as(shifts)).clone()
    if kind == "gaps":  # positions, and a whole window, without targets
        targets[:, :5], targets[:, length - 10 :] = 0, 0
        targets[-1] = 0
    if kind == "padding":
        gains[0, :, length // 2 :], targets[0, length // 2 + 1 :] = -torch.inf, 0
        gains[-1], targets[-1, 1:] = -torch.inf, 0
    if kind == "holes":
        gains[0, :, 2:5], gains[1, :, 0] = -torch.inf, -torch.inf
        gains[2, :, :] = torch.where(torch.rand(length, generator=draw) < 0.3, -torch.inf, gains[2])
    inputs = [
        normal(windows, positions, dim),
        normal(size, dim),
        normal(size),
        q,
        normal(heads, size, width),
        k,
        normal(windows, heads, length, width),
        normal(heads, size),
        normal(heads, size),
        gains,
        shifts,
        normal(windows, positions),
    ]
    hits = torch.where(targets > size, -1, targets - 1)
    return Case(inputs, ends, targets > 0, hits)


def check(case: Case, tolerance: float = 2e-5) -> None:
    loss, got = case.gradients()
    value, wanted = case.wanted_gradients()
    assert loss == pytest.approx(value, rel=1e-5)
    for name, one, other in zip(NAMES, got, wanted, strict=True):
        scale = float(other.abs().max())
        assert one.isfinite().all(), name
        assert float((one - other).abs().max()) <= tolerance * max(scale, 1e-2), name


@pytest.mark.parametrize("kind", ["all", "ties", "gaps"])
@pytest.mark.parametrize("slope", [0.1, 1.0, 5.0, -3.0, 20.0])
def test_value_and_gradients_are_those_of_a_masked_softmax(slope: float, kind: str) -> None:
    check(make(slope, kind=kind))


@pytest.mark.parametrize("kind", ["padding", "holes"])
@pytest.mark.parametrize("slope", [0.1, 0.5, -0.5])
def test_interactions_that_are_not_real_do_not_count(slope: float, kind: str) -> None:
    case = make(slope, kind=kind)
    check(case)
    unreal = case.inputs[9] == -torch.inf
    _, gradients = case.gradients()
    for place in (5, 6, 9):
        assert not gradients[place][unreal].any()


@pytest.mark.parametrize("cells", [1, 100, 13 * 71 * 2, 1 << 30])
def test_any_number_of_windows_at_a_time_gives_the_same(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_softmax, "CELLS", cells)
    for kind in ("all", "ties"):
        check(make(0.5, kind=kind))


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("length", [1, 2, 33])
@pytest.mark.parametrize("kind", ["all", "ties"])
def test_single_candidates_and_single_interactions_are_enough(kind: str, length: int, size: int) -> None:
    check(make(0.5, kind=kind, size=size, length=length))


def test_positions_without_history_see_the_null_pair_alone() -> None:
    case = make(0.5)
    case.ends.zero_()
    case.inputs[10] = case.inputs[10] * 100  # common to all that is seen, so without effect
    check(case)
    _, gradients = case.gradients()
    for place in (3, 5, 6, 7, 9, 10):
        assert float(gradients[place].abs().max()) < 1e-7, NAMES[place]
    assert gradients[8].any()


def test_no_target_at_all_is_no_loss_and_no_gradient() -> None:
    case = make(0.5)
    case.wanted.zero_()
    loss, gradients = case.gradients()
    assert loss == 0
    assert not any(gradient.any() for gradient in gradients)


def test_positions_need_not_start_at_the_first() -> None:
    case = make(0.5)
    for name, places in (("ends", (1,)), ("wanted", (1,)), ("hits", (1,))):
        setattr(case, name, getattr(case, name)[:, 20:].contiguous())
        assert places
    for place in (0, 11):
        case.inputs[place] = case.inputs[place][:, 20:].contiguous()
    case.inputs[10] = case.inputs[10][:, :, 20:].contiguous()
    check(case)


@pytest.mark.parametrize("kind", ["all", "ties"])
@pytest.mark.parametrize("end", [0, 1, 31, 32, 33, 64])
def test_what_a_position_does_not_see_has_exactly_no_part_in_its_loss(end: int, kind: str) -> None:
    case = make(2.0, kind=kind)
    before = (case.ends <= end) & case.wanted
    assert before.any()
    case.wanted = before
    loss, gradients = case.gradients()
    for place in (5, 6, 9):
        assert not gradients[place][:, :, end:].any(), NAMES[place]
        assert end == 0 or gradients[place][:, :, :end].any()
    other = dataclasses.replace(case, inputs=[tensor.clone() for tensor in case.inputs])
    for place in (5, 6):
        other.inputs[place][:, :, end:] = 0.5
    changed, gradients_changed = other.gradients()
    assert changed == loss
    for one, two in zip(gradients, gradients_changed, strict=True):
        assert torch.equal(one, two)


def test_the_mean_is_over_the_positions_that_have_a_target() -> None:
    case = make(0.5, windows=2)
    parts, counts = [], []
    for row in range(2):
        part = dataclasses.replace(case, wanted=case.wanted & (torch.arange(2) == row)[:, None])
        parts.append(float(part.loss()))
        counts.append(int(part.wanted.sum()))
    mean = (parts[0] * counts[0] + parts[1] * counts[1]) / sum(counts)
    assert float(case.loss()) == pytest.approx(mean, rel=1e-6)


def test_the_target_among_the_candidates_counts_once() -> None:
    case = make(0.5)
    case.wanted = case.wanted & (case.hits >= 0)
    loss, gradients = case.gradients()
    twice = dataclasses.replace(case, hits=torch.full_like(case.hits, -1))
    assert loss < float(twice.loss()) - 1e-3
    # what the target's shared row scores does not matter where it is hit
    only = case.hits == 4
    alone = dataclasses.replace(case, wanted=only)
    assert only.sum() > 2
    _, gradients = alone.gradients()
    assert not gradients[1][4].any()
    assert not gradients[2][4].any()
    assert gradients[2][3] > 0


def test_a_bias_of_minus_infinity_leaves_a_candidate_out() -> None:
    case = make(0.5)
    case.hits = torch.where(case.hits == 2, -1, case.hits)
    case.inputs[2][2] = -torch.inf
    kept = [n for n in range(13) if n != 2]
    rows = {1: 0, 2: 0, 3: 1, 4: 1, 7: 1, 8: 1}
    fewer = [x.index_select(rows[n], torch.tensor(kept)) if n in rows else x for n, x in enumerate(case.inputs)]
    without = dataclasses.replace(case, inputs=fewer, hits=torch.where(case.hits > 2, case.hits - 1, case.hits))
    loss, gradients = case.gradients()
    assert loss == pytest.approx(float(without.loss()), rel=1e-6)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert not gradients[1][2].any()


@pytest.mark.parametrize("slope", [0.1, -3.0, 20.0])
def test_bfloat16_products_are_near(slope: float) -> None:
    case = make(slope, kind="ties")
    value, wanted = case.wanted_gradients()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, got = case.gradients()
    assert loss == pytest.approx(value, rel=1e-2)
    assert loss != pytest.approx(value, rel=1e-7)
    for name, one, other in zip(NAMES, got, wanted, strict=True):
        assert one.dtype == torch.float32
        assert float((one - other).norm()) <= 0.05 * float(other.norm()), name


def test_float16_is_not_used_for_products() -> None:
    case = make(0.5)
    with torch.autocast("cpu", dtype=torch.float16):
        assert float(case.loss()) == float(case.loss())
        half = float(case.loss())
    assert half == float(case.loss())


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("slope", [0.0, 1e3, -1e3])
def test_the_largest_logits_and_slopes_stay_finite(slope: float, mixed: bool) -> None:
    case = make(slope, kind="ties")
    for place in (3, 7):
        case.inputs[place] = 20 * normalize(case.inputs[place], dim=-1)
    case.inputs[7] = case.inputs[7].sign() * 20
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
        loss, gradients = case.gradients(bound=20.0)
    assert torch.tensor(loss).isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert loss == pytest.approx(case.wanted_gradients()[0], rel=2e-2 if mixed else 1e-4)


def test_the_block_is_the_largest_whose_exponents_are_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    def block(slope: float, bound: float = BOUND) -> int | None:
        case = make(slope)
        return safe_block(PrefixAttention(*case.inputs[3:11]), case.ends, bound)

    assert block(0.1) == 70
    assert [block(slope) for slope in (1.0, 5.0, 20.0, 1e3, -1e3)] == [32, 8, 2, 1, 1]
    assert block(1.0, bound=20.0) == 32
    assert block(1.0, bound=30.0) == 16
    monkeypatch.setattr(prefix_softmax, "SAFE", 10.0)
    assert block(1.0) == 4
    monkeypatch.setattr(prefix_softmax, "SAFE", 3.0)
    assert block(0.0) is None


def test_a_request_long_after_what_it_sees_is_refused() -> None:
    case = make(0.5)
    case.inputs[10][1, 0, 30] += 1e4
    assert safe_block(PrefixAttention(*case.inputs[3:11]), case.ends, BOUND) is None
    with pytest.raises(ValueError, match="spread too far for running sums; use the masked form"):
        case.loss()


@pytest.mark.parametrize("seconds", [1e4, -1e4, 1e30])
@pytest.mark.parametrize("kind", ["empty", "without a target"])
def test_any_moment_will_do_where_nothing_is_seen_or_asked(kind: str, seconds: float) -> None:
    case = make(0.5)
    case.inputs[10][1, 0, 30] = seconds
    if kind == "empty":
        case.ends[1, 30] = 0
    else:
        case.wanted[1, 30], case.hits[1, 30] = False, -1
    block = safe_block(PrefixAttention(*case.inputs[3:11]), torch.where(case.wanted, case.ends, 0), BOUND)
    assert block == 70
    check(case)


def test_no_windows_and_no_interactions_are_safe() -> None:
    case = make(0.5)
    none = PrefixAttention(
        *case.inputs[3:5], *(x[:0] for x in case.inputs[5:7]), *case.inputs[7:9], *(x[:0] for x in case.inputs[9:11])
    )
    assert safe_block(none, case.ends[:0], BOUND) == 70


def test_no_table_of_candidates_by_positions_is_kept_for_the_backward_pass() -> None:
    case, kept = make(0.1, size=200, windows=8), []
    inputs = [tensor.clone().requires_grad_() for tensor in case.inputs]

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = case.loss(inputs)
    given = sum(tensor.numel() for tensor in inputs)
    assert 0 < sum(kept) <= given
    assert max(kept) < 200 * 8 * 70
    loss.backward()
    assert all(tensor.grad is not None for tensor in inputs)
