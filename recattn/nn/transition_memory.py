"""What candidates find in tables of what followed the last interactions in train."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recattn.dataset.history import HistoryStore
from recattn.dataset.transitions import count_transitions

SCALE = 1000.0  # shares of a thousandth are where log(1 + SCALE share) bends


class Reach(NamedTuple):
    """How a table is counted, and which interactions of a request look into it."""

    steps: int  # interactions apart that count as following
    decay: float  # what each further step takes from a count
    shrinkage: float
    last: int  # latest interactions that look
    fade: float  # what each interaction since takes from a look
    mutual: bool  # whether what stands before counts as what follows


REACHES = (
    Reach(1, 1.0, 5.0, 3, 0.5, mutual=False),
    Reach(10, 0.8, 20.0, 5, 0.7, mutual=False),
    Reach(20, 1.0, 10.0, 3, 0.6, mutual=True),
)
UNVALIDATED = (0.3, 0.3, 0.0)  # their weights where none were chosen


class TransitionTable(nn.Module):
    """found_c = sum over the last visible i of w_i share(c | i), w_i = fade ** (interactions since i) but summing to 1.

    Shares are of one item following another (`recattn.dataset.transitions`); nothing of it is trained.

    Args:
        reach: How far it sees.
        num_codes: N + 1.
    """

    offsets: Tensor
    items: Tensor
    shares: Tensor

    def __init__(self, reach: Reach, num_codes: int) -> None:
        super().__init__()
        self.reach = reach
        self.register_buffer("offsets", torch.zeros(num_codes + 1, dtype=torch.int64))
        self.register_buffer("items", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("shares", torch.zeros(0))

    def fill(self, store: HistoryStore, half_life: float | None) -> None:
        """Count the transitions of `store`."""
        reach = self.reach
        transitions = count_transitions(
            store,
            steps=reach.steps,
            decay=reach.decay,
            shrinkage=reach.shrinkage,
            half_life=half_life,
            mutual=reach.mutual,
        )
        device = self.shares.device
        self.offsets = torch.from_numpy(transitions.offsets).to(device)
        self.items = torch.from_numpy(transitions.items).to(device)
        self.shares = torch.from_numpy(transitions.shares).to(device)

    def forward(self, items_BT: Tensor, rows_R: Tensor, mask_RT: Tensor, ages_RT: Tensor) -> Tensor:
        """What all codes find [R, N + 1], for requests that see `mask` of histories `rows`; nothing: 0."""
        fade, last = self.reach.fade, self.reach.last
        seen = mask_RT & (ages_RT < last)
        requests, places = torch.nonzero(seen, as_tuple=True)
        weights = fade ** ages_RT[requests, places] * ((1 - fade) / (1 - fade**last))
        codes = items_BT[rows_R[requests], places]
        starts, counts = self.offsets[codes], self.offsets[codes + 1] - self.offsets[codes]
        cells = torch.arange(int(counts.sum()), device=codes.device)
        cells += (starts - counts.cumsum(0) + counts).repeat_interleave(counts)
        size = len(self.offsets) - 1
        found = torch.zeros(len(rows_R) * size, device=codes.device)
        targets = (requests * size).repeat_interleave(counts) + self.items[cells]
        found.index_add_(0, targets, self.shares[cells].float() * weights.float().repeat_interleave(counts))
        return found.view(len(rows_R), size)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        for name in ("items", "shares"):  # a table is as long as it was when it was saved
            saved = state_dict.get(f"{prefix}{name}")
            if saved is not None and saved.dim() == 1:
                setattr(self, name, getattr(self, name).new_empty(len(saved)))
        super()._load_from_state_dict(state_dict, prefix, *args)


class TransitionMemory(nn.Module):
    """The term sum over tables of weight * log(1 + SCALE found_c): target attention by counted matches.

    A product of experts with the learned scores: counts know by heart what embeddings blur, rare items and strict
    sequences. The weights are chosen on validation (`recattn.training.memory_weights`).

    Args:
        num_codes: N + 1.
    """

    weights: Tensor

    def __init__(self, num_codes: int) -> None:
        super().__init__()
        self.num_codes = num_codes
        self.tables = nn.ModuleList(TransitionTable(reach, num_codes) for reach in REACHES)
        self.register_buffer("weights", torch.tensor(UNVALIDATED))

    @property
    def empty(self) -> bool:
        """Whether no transition was counted yet."""
        return not any(len(table.shares) for table in self.tables if isinstance(table, TransitionTable))

    def fill(self, store: HistoryStore, half_life: float | None = None) -> None:
        """Count the transitions of `store`, those `half_life` days before its end half."""
        for table in self.tables:
            assert isinstance(table, TransitionTable)
            table.fill(store, half_life)

    def matches(self, items_BT: Tensor, rows_R: Tensor, mask_RT: Tensor, ages_RT: Tensor) -> Tensor:
        """log(1 + SCALE found) of all codes by table, float32 [tables, R, N + 1]."""
        return torch.stack([_bent(table(items_BT, rows_R, mask_RT, ages_RT)) for table in self.tables])

    def forward(self, items_BT: Tensor, rows_R: Tensor, mask_RT: Tensor, ages_RT: Tensor) -> Tensor:
        """The term of all codes [R, N + 1]."""
        total = torch.zeros(len(rows_R), self.num_codes, device=rows_R.device)
        for weight, table in zip(self.weights.tolist(), self.tables, strict=True):
            if weight:
                total += weight * _bent(table(items_BT, rows_R, mask_RT, ages_RT))
        return total

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        saved = len(state_dict.get(f"{prefix}weights", self.weights))
        if saved < len(self.tables):  # a model of fewer tables: the others are empty and weigh nothing
            weights = state_dict[f"{prefix}weights"]
            state_dict[f"{prefix}weights"] = torch.cat([weights, weights.new_zeros(len(self.tables) - saved)])
            for place, table in enumerate(self.tables):
                if place >= saved:
                    state_dict |= table.state_dict(prefix=f"{prefix}tables.{place}.")
        super()._load_from_state_dict(state_dict, prefix, *args)


def _bent(found: Tensor) -> Tensor:
    return torch.log1p(SCALE * found)
