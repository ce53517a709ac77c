"""Three scores of rising cost from one encoded history."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recattn.batching.batch import FeatureBatch, HistoryBatch, RequestBatch
from recattn.config import STAGES, ModelConfig, Stage
from recattn.nn.attention import MATCHINGS, BoundedTargetAttention, Keys, TargetAttention, View
from recattn.nn.history_encoder import FeedForward, HistoryEncoder
from recattn.nn.item_encoder import FeatureEncoder, ItemEncoder
from recattn.nn.linear_head import linear_head_term, suits
from recattn.nn.transition_memory import TransitionMemory


class DeepLayer(nn.Module):
    """r + FFN(Norm(W_1 attn(Norm r) + W_2 r)): one more look of a candidate at the history."""

    def __init__(self, dim: int, num_heads: int, *, timed: bool, dropout: float) -> None:
        super().__init__()
        self.norm_query = nn.LayerNorm(dim)
        self.attention = TargetAttention(dim, num_heads, timed=timed)
        self.join = nn.Linear(dim, dim, bias=False)
        self.keep = nn.Linear(dim, dim, bias=False)
        self.norm = nn.LayerNorm(dim)
        self.feed_forward = FeedForward(dim, factor=2, dropout=dropout)

    def keys(self, states_BTD: Tensor) -> Keys:
        """Keys and values of histories for this layer."""
        return self.attention.keys(states_BTD)

    def forward(self, r_RSD: Tensor, keys: Keys, view: View) -> Tensor:
        found = self.attention(self.norm_query(r_RSD), keys, view)
        return r_RSD + self.feed_forward(self.norm(self.join(found) + self.keep(r_RSD)))


class Prefixes(NamedTuple):
    """R requests, ready to score: what they see, their states, and the keys of the histories they share."""

    view: View
    states_RD: Tensor
    extra_RD: Tensor | None  # user and context
    attention_keys: Keys | None
    deep_keys: tuple[Keys, ...]
    remembered_RN: Tensor | None  # the term of the transition memory for all codes 0..N


class Scorer(nn.Module):
    """Retrieval, attention and deep score: each is the one before plus a term.

    - retrieval: s_t . e_c + b_c
    - attention: + sum over heads of attn_ch . (U_h Norm e_c), where it has heads
      + what the candidate finds in the transition memory, where it has one
    - deep: + w . r^m, r^0 = e_c + user and context, r^l by `DeepLayer`

    With `keys="separate"` the attention score's queries and keys are made of item embeddings that serve nothing else
    (DARE, arXiv 2410.02604); its values and readouts stay those of states and e_c. So does all of the deep score.

    No score depends on the other candidates. U and w start at zero, so that training starts from the retrieval score.

    Args:
        config: Sizes and what is used.
        items: The item encoder.
        user: Encoder of user attributes, or None.
        context: Encoder of request attributes, or None.
        num_behaviours: Kinds of behaviour the histories have.
        time_scale: Seconds that count as one unit of time in the recency bias.
    """

    time_scale: Tensor

    def __init__(
        self,
        config: ModelConfig,
        items: ItemEncoder,
        *,
        user: FeatureEncoder | None = None,
        context: FeatureEncoder | None = None,
        num_behaviours: int = 0,
        time_scale: float = 1.0,
    ) -> None:
        super().__init__()
        dim, heads, timed = config.dim, config.num_heads, config.time == "timestamp"
        self.config, self.items, self.user, self.context = config, items, user, context
        self.history = HistoryEncoder(
            dim,
            heads,
            config.num_layers,
            timed=timed,
            num_behaviours=num_behaviours if config.use_events else 0,
            weighted=config.use_weights,
            dropout=config.dropout,
        )
        self.start = nn.Parameter(torch.zeros(dim))
        assert (items.attention_ids is not None) == (config.keys == "separate")
        self.key_norm = nn.LayerNorm(dim) if config.keys != "states" and config.has_heads else None
        self.attention = self.attention_out = None
        self.memory = None
        if config.score != "retrieval" and config.attention != "heads":
            self.memory = TransitionMemory(items.num_codes)
        if config.score != "retrieval" and config.attention != "transitions":
            self.attention = MATCHINGS[config.matching](dim, heads, timed=timed)
            self.attention_norm = nn.LayerNorm(dim)
            self.attention_out = nn.Linear(dim, dim, bias=False)
            nn.init.zeros_(self.attention_out.weight)
        layers = config.deep_layers if config.score == "deep" else 0
        self.deep = nn.ModuleList(DeepLayer(dim, heads, timed=timed, dropout=config.dropout) for _ in range(layers))
        self.deep_out = nn.Linear(dim, 1, bias=False) if layers else None
        if self.deep_out is not None:
            nn.init.zeros_(self.deep_out.weight)
        self.register_buffer("time_scale", torch.tensor(float(time_scale)), persistent=True)

    def forward(self, batch: RequestBatch, stage: Stage | None = None) -> Tensor:
        """Scores [B, C] of the batch's candidates, or [B, N] of the catalog; -inf at padded candidates."""
        prefixes = self.requests(batch, stage)
        codes = self.items.catalog() if batch.candidates is None else batch.candidates
        scores = self.score(prefixes, self.candidates(codes), self.items.biases(codes), stage)
        scores = self.with_memory(scores, prefixes, codes)
        return scores if batch.candidate_mask is None else scores.masked_fill(~batch.candidate_mask, -torch.inf)

    def encode(self, history: HistoryBatch) -> Tensor:
        """States [B, T, D] of B histories."""
        return self.history(self.items(history.items), history)

    def candidates(self, codes: Tensor) -> Tensor:
        """Item codes [...] as `score` takes them: embeddings [..., D], or [..., 2 D] (see `beside`)."""
        return self.beside(self.items(codes), codes)

    def beside(self, items: Tensor, codes: Tensor) -> Tensor:
        """Embeddings [..., D] of item codes [...]; beside them what queries are made of, where that is separate."""
        return torch.cat([items, self.match_inputs(codes)], dim=-1) if self.config.keys == "separate" else items

    def match_inputs(self, codes: Tensor) -> Tensor:
        """What separate keys and queries are made of [..., D], for item codes [...]."""
        assert self.key_norm is not None
        return self.key_norm(self.items.attention(codes))

    def content(self, items: Tensor) -> Tensor:
        """The embeddings [..., D] among what `candidates` gives."""
        return items[..., : self.config.dim]

    def asked(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """What queries and readouts of candidates are made of [..., D]: Norm e_c for both, or separate queries."""
        content = self.attention_norm(self.content(items))
        return items[..., self.config.dim :] if self.config.keys == "separate" else content, content

    def key_inputs(self, history: HistoryBatch, states_BTD: Tensor) -> Tensor:
        """What target attention sees of B histories [B, T, D]: their states, or their items as they are."""
        if self.config.keys != "items":
            return states_BTD
        assert self.key_norm is not None
        return self.key_norm(self.items(history.items))

    def attention_keys(self, history: HistoryBatch, inputs_BTD: Tensor) -> Keys:
        """Keys and values for the attention score: of `key_inputs`, but for keys where they are separate."""
        assert self.attention is not None
        keys_BTD = self.match_inputs(history.items) if self.config.keys == "separate" else inputs_BTD
        return self.attention.keys(keys_BTD, inputs_BTD)

    def requests(self, batch: RequestBatch, stage: Stage | None = None, *, remember: bool = True) -> Prefixes:
        """One request a history: it sees all of it. Without `remember` the transition memory is left out."""
        rows = torch.arange(len(batch.history.items), device=batch.history.items.device)
        ends = (batch.history.items > 0).sum(dim=1)
        states = self.encode(batch.history)
        extra = self.extra(batch.user, batch.context)
        return self.prefixes(batch.history, states, rows, ends, batch.query_times, extra, stage, remember=remember)

    def extra(self, user: FeatureBatch | None, context: FeatureBatch | None) -> Tensor | None:
        """User and context input [n, D], or None where the model has neither."""
        parts = []
        if self.user is not None and user is not None:
            parts.append(self.user(user))
        if self.context is not None and context is not None:
            parts.append(self.context(context))
        return sum(parts) if parts else None  # type: ignore[return-value]

    def prefixes(
        self,
        history: HistoryBatch,
        states_BTD: Tensor,
        rows: Tensor,
        ends: Tensor,
        query_times: Tensor | None,
        extra_RD: Tensor | None,
        stage: Stage | None = None,
        *,
        remember: bool = True,
    ) -> Prefixes:
        """R requests over B encoded histories; request r sees the first `ends[r]` interactions of history `rows[r]`."""
        places = torch.arange(history.items.shape[1], device=rows.device)
        mask = history.mask[rows] & (places < ends[:, None])
        ages = (ends[:, None] - 1 - places).clamp(min=0).float()
        time_ages = None
        if history.times is not None and query_times is not None:
            seconds = (query_times[:, None] - history.times[rows]).clamp(min=0)
            time_ages = seconds.float() / self.time_scale * mask
        depth, memory = STAGES.index(stage or self.config.score), self.memory
        inputs = self.key_inputs(history, states_BTD)
        return Prefixes(
            view=View(rows, mask, ages, time_ages),
            states_RD=self.states_at(states_BTD, rows, mask, extra_RD),
            extra_RD=extra_RD,
            attention_keys=self.attention_keys(history, inputs) if self.attention is not None and depth >= 1 else None,
            deep_keys=tuple(layer.keys(inputs) for layer in self._deep_layers()) if depth >= 2 else (),
            remembered_RN=memory(history.items, rows, mask, ages)
            if memory is not None and remember and depth >= 1
            else None,
        )

    def states_at(self, states_BTD: Tensor, rows: Tensor, mask_RT: Tensor, extra_RD: Tensor | None) -> Tensor:
        """s_t [R, D]: the last visible state, or the learned start state, plus user and context."""
        places = torch.arange(1, mask_RT.shape[1] + 1, device=rows.device)
        last = (mask_RT * places).amax(dim=1)
        states = torch.where((last > 0)[:, None], states_BTD[rows, (last - 1).clamp(min=0)], self.start)
        return states if extra_RD is None else states + extra_RD

    def states_along(
        self, states_BTD: Tensor, mask_BT: Tensor, ends_BP: Tensor, extra_BPD: Tensor | None = None
    ) -> Tensor:
        """s_t [B, P, D] at positions that see the first `ends_BP` interactions, as `states_at` has it."""
        places = torch.arange(1, mask_BT.shape[1] + 1, device=mask_BT.device)
        last_BT = (mask_BT * places).cummax(dim=1).values
        last_BP = torch.nn.functional.pad(last_BT, (1, 0)).gather(1, ends_BP)
        index = (last_BP - 1).clamp(min=0)[..., None].expand(-1, -1, states_BTD.shape[2])
        states = torch.where((last_BP > 0)[..., None], states_BTD.gather(1, index), self.start)
        return states if extra_BPD is None else states + extra_BPD

    def score(self, prefixes: Prefixes, items: Tensor, biases: Tensor, stage: Stage | None = None) -> Tensor:
        """Learned scores [R, S] of `candidates` [S, ...] (shared) or [R, S, ...] with biases [S] or [R, S]."""
        stage, content = stage or self.config.score, self.content(items)
        scores = self.retrieval(prefixes.states_RD, content, biases)
        if stage != "retrieval" and self.attention is not None:
            scores = scores + self.attention_term(prefixes, items)
        return scores + self.deep_term(prefixes, content) if stage == "deep" else scores

    @staticmethod
    def with_memory(scores: Tensor, prefixes: Prefixes, codes: Tensor) -> Tensor:
        """Scores [R, S] plus the term of the transition memory, if there is one; codes [S] (shared) or [R, S]."""
        found = prefixes.remembered_RN
        if found is None:
            return scores
        return scores + (found.index_select(1, codes) if codes.dim() == 1 else found.gather(1, codes))

    @staticmethod
    def retrieval(states_RD: Tensor, items: Tensor, biases: Tensor) -> Tensor:
        """s_t . e_c + b_c, [R, S]."""
        if items.dim() == 2:
            return states_RD @ items.T + biases
        return torch.einsum("rd,rsd->rs", states_RD, items) + biases

    def attention_term(self, prefixes: Prefixes, items: Tensor) -> Tensor:
        """sum over heads of attn_ch . (U_h Norm e_c), with queries of Norm e_c too unless separate, [R, S]."""
        assert self.attention is not None
        assert self.attention_out is not None
        assert prefixes.attention_keys is not None
        if isinstance(self.attention, BoundedTargetAttention) and suits(self.attention, items):
            readout = self.attention_out.weight
            return linear_head_term(self.attention, items, self.asked, readout, prefixes.attention_keys, prefixes.view)
        queried, content = self.asked(items)
        found_RSD = self.attention(queried, prefixes.attention_keys, prefixes.view)
        return (found_RSD * self.attention_out(content)).sum(dim=-1)

    def deep_term(self, prefixes: Prefixes, items: Tensor) -> Tensor:
        """w . r^m, [R, S]."""
        assert self.deep_out is not None
        r_RSD = items if items.dim() == 3 else items.expand(len(prefixes.states_RD), -1, -1)
        if prefixes.extra_RD is not None:
            r_RSD = r_RSD + prefixes.extra_RD[:, None]
        for layer, keys in zip(self._deep_layers(), prefixes.deep_keys, strict=True):
            r_RSD = layer(r_RSD, keys, prefixes.view)
        return self.deep_out(r_RSD).squeeze(-1)

    def _deep_layers(self) -> list[DeepLayer]:
        return [layer for layer in self.deep if isinstance(layer, DeepLayer)]
