"""The weights of the transition memory, chosen on validation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recattn.batching.batch import TruthBatch
from recattn.inference.cascade import CatalogView
from recattn.inference.predictor import not_seen
from recattn.nn.scorer import Scorer
from recattn.training.cascade_quality import take, whole_scores

SCALES = (0.0, 0.5, 0.7, 1.0, 1.4, 2.0)
K = 10
RIVALS = 1000  # items no table knows anything of that stand beside those it does, the best by their learned scores
SHYEST = 0.05  # the least that learned scores are scaled by
PAIRS = 1 << 27  # scores looked at, at most: fewer requests where the catalog is large
CELLS = 1 << 23  # scores alive at a time


@torch.inference_mode()
def choose_weights(scorer: Scorer, batches: Iterable[TruthBatch], requests: int) -> dict[str, float]:
    """Set the memory's weights by validation: their proportions by likelihood, their scale by NDCG@10.

    The learned scores stay as they are: the model's most expensive ones of the whole catalog. A search by NDCG@10 alone
    would have little to go by and follow its noise; of the `SCALES` it takes the best, the smaller of equal ones.

    Args:
        scorer: In eval mode, with a memory; changed.
        batches: Validation requests with their answers.
        requests: Their number.

    Returns:
        The weights by name.
    """
    memory = scorer.memory
    assert memory is not None
    codes = torch.nonzero(scorer.items.trainable).squeeze(1)
    catalog = CatalogView.of(scorer, codes)
    places = torch.full((scorer.items.num_codes,), -1, device=codes.device)
    places[codes] = torch.arange(len(codes), device=codes.device)
    step, asked, contests = max(1, -(-requests * len(codes) // PAIRS)), 0, []
    for batch in batches:
        rows = torch.arange(-asked % step, len(batch.truth), step, device=codes.device)  # of all lengths alike
        asked += len(batch.truth)
        whole = scorer.requests(batch.requests, remember=False)
        for part in rows.split(max(1, CELLS // max(len(codes), 1))) if len(rows) else ():
            prefixes = take(whole, part)
            scores = whole_scores(scorer, prefixes, catalog).float()
            if batch.seen.shape[1]:
                scores = scores.masked_fill(~not_seen(batch.seen[part], codes, scorer.items.num_codes), -torch.inf)
            view = prefixes.view
            found = memory.matches(batch.requests.history.items, view.rows, view.mask, view.ages)[:, :, codes]
            contests.append(Contest.of(scores, found, batch.truth[part], places))
    if any(bool(contest.worth_RM.any()) for contest in contests):  # else the catalog knows nothing of the validation
        likely = likeliest_weights(contests, len(memory.tables))
        gains = [sum(contest.gain(scale * likely) for contest in contests) for scale in SCALES]
        memory.weights.copy_(torch.from_numpy(SCALES[int(np.argmax(gains))] * likely))
    return {f"memory_weight_{place}": float(weight) for place, weight in enumerate(memory.weights)}


def likeliest_weights(contests: Sequence[Contest], tables: int) -> np.ndarray:
    """float64 [tables], none below zero: the weights w of the most likely softmax(t (score + sum of w * match)).

    t makes up for learned scores that are too sure of themselves. The prior is normal, of t around 1 and of t w around
    0, with a deviation of 1: it counts where there is little to go by.
    """
    from scipy.optimize import minimize

    middle = np.array([1.0] + [0.0] * tables)

    def objective(point: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = 0.5 * float(((point - middle) ** 2).sum()), point - middle
        for contest in contests:
            more, steeper = contest.surprise(point)
            value, slope = value + more, slope + steeper
        return value, slope

    bounds = [(SHYEST, None)] + [(0.0, None)] * tables
    found = minimize(objective, [1.0] + [0.3] * tables, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found[1:] / found[0]


class Contest(NamedTuple):
    """Truths [R, M] of R requests, and the C items that can keep them out of the first ten, whatever the weights.

    These are all that a table knows something of, and of the others the best by their learned scores. Inputs are the
    learned score, less the request's highest, and what each table says.
    """

    inputs_iRC: Tensor
    own_iRM: Tensor  # of the truths
    worth_RM: Tensor  # 1 / the ideal DCG; 0 for padding, misses and what may not be recommended
    inside_RM: Tensor  # bool: whether the truth is among the C items

    @classmethod
    def of(cls, scores_RS: Tensor, found_tRS: Tensor, truth_RM: Tensor, places: Tensor) -> Contest:
        """From scores of S items, -inf where not allowed; `places` [N + 1] are the columns of item codes, or -1."""
        allowed = scores_RS > -torch.inf
        best = torch.where(allowed.any(dim=1), scores_RS.amax(dim=1), 0.0)
        inputs_iRS = torch.cat([(scores_RS - best[:, None])[None], found_tRS])
        columns = places[truth_RM.clamp(min=0)]
        known = (truth_RM > 0) & (columns >= 0)
        columns = columns.clamp(min=0)
        ideal = _discounts(truth_RM.device).cumsum(0)[(truth_RM != 0).sum(dim=1).clamp(1, K) - 1]
        worth = torch.where(known & allowed.gather(1, columns), 1 / ideal[:, None], 0.0)
        matched = (found_tRS > 0).any(dim=0)
        plain = scores_RS.masked_fill(matched, -torch.inf)
        bar = plain.topk(min(RIVALS, plain.shape[1]), dim=1).values[:, -1:]
        kept = (matched | (plain >= bar)) & allowed
        _, chosen = kept.to(torch.uint8).topk(int(kept.sum(dim=1).max()), dim=1)
        return cls(
            inputs_iRS.gather(2, chosen.expand(len(inputs_iRS), -1, -1)),
            inputs_iRS.gather(2, columns.expand(len(inputs_iRS), -1, -1)),
            worth,
            kept.gather(1, columns) & (worth > 0),
        )

    def gain(self, weights: np.ndarray) -> float:
        """The sum of NDCG@10 over the requests."""
        by = self.inputs_iRC.new_tensor([1.0, *weights])
        scores, own = torch.tensordot(by, self.inputs_iRC, dims=1), torch.tensordot(by, self.own_iRM, dims=1)
        ranks = torch.stack([(scores > one[:, None]).sum(dim=1) for one in own.T], dim=1)
        discounts = _discounts(own.device)[ranks.clamp(max=K - 1)]
        return float(torch.where(ranks < K, discounts * self.worth_RM, 0.0).sum())

    def surprise(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """-log likelihood of the truths inside under softmax(point . inputs) of the C items, and its slope."""
        by, counts = self.inputs_iRC.new_tensor(point), self.inside_RM.sum(dim=1, keepdim=True)
        logits = torch.tensordot(by, self.inputs_iRC, dims=1)
        chances = torch.where(counts > 0, logits.softmax(dim=1), 0.0)
        own = self.own_iRM[:, self.inside_RM].double().sum(dim=1).cpu().numpy()
        value = torch.where(counts > 0, counts * logits.logsumexp(dim=1, keepdim=True), 0.0).double().sum()
        means = (counts * chances * self.inputs_iRC).nan_to_num(0.0).double().sum(dim=(1, 2)).cpu().numpy()
        return float(value) - float(point @ own), means - own


def _discounts(device: torch.device) -> Tensor:
    return 1 / torch.log2(torch.arange(2, K + 2, device=device, dtype=torch.float64))
