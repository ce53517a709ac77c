"""Tests of what candidates find in the tables of transitions."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from recattn.batching.assemble import Assembler
from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import make_requests
from recattn.dataset.transitions import count_transitions
from recattn.inference.cascade import Cascade, CatalogView, rank_catalog
from recattn.nn.transition_memory import REACHES, SCALE, UNVALIDATED, Reach, TransitionMemory
from recattn.recommender import Recommender
from recattn.schema import read_interactions

SIZE = 14  # items of the shared world with its two that nobody touched
WEIGHTS = torch.tensor([0.45, 0.8, 0.3])


@pytest.fixture(scope="module")
def model(world: Any, small_model: Any, small_train: Any, one_thread: None) -> Recommender:
    """No head, a memory with weights unlike each other. Nobody changes it."""
    config = small_model(score="attention", attention="transitions", dropout=0.0, ties="order")
    model = Recommender(config, small_train()).fit(world.train, items=world.items)
    model.scorer.memory.weights.copy_(WEIGHTS)
    return model


@pytest.fixture(scope="module")
def store(model: Recommender, world: Any) -> HistoryStore:
    """The world's histories, and those of two users nobody has seen, one of them with one interaction."""
    new = pd.DataFrame(
        {"user_id": ["v", "v", "w"], "item_id": ["i02", "i09", "i04"], "timestamp": world.log.timestamp.max()}
    )
    log = read_interactions(pd.concat([world.log, new], ignore_index=True))
    return HistoryStore.from_frame(log, model.items.vocabulary, behaviours=model._fitted().blueprint.behaviours)


@pytest.fixture
def batch(model: Recommender, store: HistoryStore) -> Any:
    """All users and one without a history, for the catalog."""
    requests = make_requests(store, [*store.users, "nobody"], ties="order")
    return Assembler(store, model.scorer.config).requests(requests)


def by_loops(model: Recommender, train: HistoryStore, seen: list[tuple[int, int]], code: int) -> float:
    """The term of one candidate: `seen` holds (item, interactions since) of what a request sees."""
    total = 0.0
    for weight, reach in zip(model.scorer.memory.weights.tolist(), REACHES, strict=True):
        shares = shares_of(train, reach)
        norm = sum(reach.fade**age for age in range(reach.last))
        found = sum(reach.fade**age / norm * shares.get((item, code), 0.0) for item, age in seen if age < reach.last)
        total += weight * math.log(1 + SCALE * found)
    return total


def shares_of(store: HistoryStore, reach: Reach) -> dict[tuple[int, int], float]:
    """share(c | i), as `tests/unit/dataset/test_transitions.py` holds it against a double loop."""
    counted = {name: getattr(reach, name) for name in ("steps", "decay", "shrinkage", "mutual")}
    found = count_transitions(store, **counted)
    owners = np.repeat(np.arange(len(found.offsets) - 1), np.diff(found.offsets))
    return dict(zip(zip(owners.tolist(), found.items.tolist(), strict=True), found.shares.tolist(), strict=True))


@pytest.fixture(scope="module")
def train_store(model: Recommender, world: Any) -> HistoryStore:
    return HistoryStore.from_frame(read_interactions(world.train), model.items.vocabulary)


def remembered(model: Recommender, items: list[list[int]], seen: list[list[int]], rows: list[int]) -> Tensor:
    """The term for requests over histories `rows`, which see the places marked 1 of them, the last at age 0."""
    mask = torch.tensor(seen).bool()
    ends = torch.tensor([1 + max((place for place, mark in enumerate(row) if mark), default=-1) for row in seen])
    ages = (ends[:, None] - 1 - torch.arange(mask.shape[1])).clamp(min=0).float()
    return model.scorer.memory(torch.tensor(items), torch.tensor(rows), mask, ages)


def test_the_term_is_that_of_plain_loops_with_holes_and_shared_histories(
    model: Recommender, train_store: HistoryStore
) -> None:
    rng = np.random.default_rng(0)
    items = rng.integers(1, SIZE + 1, (3, 9)).tolist()
    rows = [0, 2, 1, 1, 0, 2]
    seen = (rng.random((6, 9)) < 0.6).astype(int).tolist()
    seen[3] = [1] * 9
    seen[4] = [0] * 9
    seen[5] = [1] + [0] * 8
    found = remembered(model, items, seen, rows)
    assert found.shape == (6, SIZE + 1)
    assert (found[4] == 0).all()
    for request, row in enumerate(rows):
        end = max((place for place in range(9) if seen[request][place]), default=-1) + 1
        visible = [(items[row][place], end - 1 - place) for place in range(end) if seen[request][place]]
        for code in range(SIZE + 1):
            expected = by_loops(model, train_store, visible, code)
            assert float(found[request, code]) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert (found > 1).sum() > 10, "next to nothing is found: the test shows little"


def test_an_empty_history_and_empty_tables_find_nothing(model: Recommender) -> None:
    assert (remembered(model, [[0, 0, 0]], [[0, 0, 0]], [0]) == 0).all()
    fresh = TransitionMemory(SIZE + 1)
    ages = torch.tensor([[1.0, 0.0]])
    found = fresh(torch.tensor([[3, 4]]), torch.tensor([0]), torch.ones(1, 2, dtype=torch.bool), ages)
    assert found.shape == (1, SIZE + 1)
    assert (found == 0).all()


def test_padding_and_nobodys_items_are_never_found(model: Recommender) -> None:
    found = remembered(model, [list(range(1, 13))], [[1] * 12], [0])
    assert (found[:, [0, 13, 14]] == 0).all()
    assert (remembered(model, [[13, 14]], [[1, 1]], [0]) == 0).all()


def test_what_is_found_of_followers_are_shares_that_sum_to_at_most_one(model: Recommender) -> None:
    for table in model.scorer.memory.tables:
        if table.reach.mutual:
            continue
        items = torch.randint(1, SIZE + 1, (4, 12), generator=torch.Generator().manual_seed(1))
        ages = torch.arange(11, -1, -1.0).expand(4, -1)
        found = table(items, torch.arange(4), torch.ones(4, 12, dtype=torch.bool), ages)
        assert (found >= 0).all()
        assert (found.sum(dim=1) < 1).all()
        assert (found.sum(dim=1) > 0.1).all()


def test_the_score_is_the_retrieval_score_plus_the_term(
    model: Recommender, train_store: HistoryStore, batch: Any
) -> None:
    with torch.inference_mode():
        whole, cheap = model.scorer(batch), model.scorer(batch, "retrieval")
    lengths = batch.history.mask.sum(dim=1).tolist()
    assert (min(lengths), max(lengths)) == (0, 9)
    for row, length in enumerate(lengths):
        seen = [(int(batch.history.items[row, place]), length - 1 - place) for place in range(length)]
        for column in range(SIZE):
            expected = by_loops(model, train_store, seen, column + 1)
            assert float(whole[row, column] - cheap[row, column]) == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert torch.equal(whole[-1], cheap[-1])


def test_shared_own_and_all_candidates_score_alike(model: Recommender, batch: Any) -> None:
    rng = np.random.default_rng(1)
    own = torch.from_numpy(np.stack([rng.permutation(SIZE)[:5] + 1 for _ in range(len(batch.history.items))]))
    shared = torch.tensor([9, 1, 14, 4])
    with torch.inference_mode():
        whole = model.scorer(batch)
        by_own = model.scorer(batch._replace(candidates=own, candidate_mask=torch.ones_like(own, dtype=torch.bool)))
        by_shared = model.scorer(batch._replace(candidates=shared, candidate_mask=None))
    np.testing.assert_allclose(by_own, whole.gather(1, own - 1), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(by_shared, whole[:, shared - 1], rtol=1e-5, atol=1e-5)


def test_the_retrieval_score_has_no_memory(model: Recommender, batch: Any) -> None:
    scorer = copy.deepcopy(model.scorer)
    scorer.memory.weights.fill_(100.0)
    with torch.inference_mode():
        assert scorer.requests(batch, "retrieval").remembered_RN is None
        assert torch.equal(scorer(batch, "retrieval"), model.scorer(batch, "retrieval"))
        assert not torch.equal(scorer(batch), model.scorer(batch))


@pytest.mark.parametrize(
    ("score", "attention", "memory", "head"),
    [
        ("retrieval", "transitions", False, False),
        ("attention", "transitions", True, False),
        ("attention", "heads", False, True),
        ("deep", "both", True, True),
    ],
)
def test_a_model_has_the_parts_it_was_asked_for(
    model: Recommender, small_model: Any, score: Any, attention: Any, memory: bool, head: bool
) -> None:
    from dataclasses import replace

    plan = replace(model._fitted().blueprint, config=small_model(score=score, attention=attention))
    scorer = plan.build()
    assert (scorer.memory is not None, scorer.attention is not None) == (memory, head)
    assert any(name.startswith("memory.") for name in scorer.state_dict()) == memory
    assert not any(name.startswith("memory.") for name, _ in scorer.named_parameters())


@pytest.mark.parametrize("keep", [SIZE, 4])
def test_the_cascade_passes_on_what_the_memory_finds(model: Recommender, batch: Any, keep: int) -> None:
    """Where all that the score is made of is there from the first stage on, a cascade drops nothing of the best."""
    scorer = model.scorer
    with torch.inference_mode():
        catalog = CatalogView.of(scorer, scorer.items.catalog())
        codes, scores = rank_catalog(scorer, batch, catalog, None, 4, stage="attention", cascade=Cascade())
        cut = Cascade(threshold=0, retrieval=keep, attention=keep)
        staged, staged_scores = rank_catalog(scorer, batch, catalog, None, 4, stage="attention", cascade=cut)
        cheap, _ = rank_catalog(scorer, batch, catalog, None, 4, stage="retrieval", cascade=Cascade())
    np.testing.assert_array_equal(staged, codes)
    np.testing.assert_allclose(staged_scores, scores, rtol=1e-5, atol=1e-5)
    assert not torch.equal(codes, cheap), "the memory changes nothing"


def test_a_masked_interaction_takes_what_it_found_along(
    model: Recommender, train_store: HistoryStore, world: Any
) -> None:
    """What `explain` tells, less what it would tell without a memory, is the fall of the term."""
    slate = pd.DataFrame({"user_id": ["u03", "u03", "u08"], "item_id": ["i00", "i05", "i02"]})
    without = copy.deepcopy(model)
    without.scorer.memory.weights.zero_()
    asked = {"history": world.log, "top": 99}
    keys = ["row", "history_timestamp"]
    found, plain = (one.explain(slate, **asked).sort_values(keys, ignore_index=True) for one in (model, without))
    encode = model.items.vocabulary.encode
    largest = 0.0
    for row, item in enumerate(slate["item_id"]):
        lines, others = found[found["row"] == row], plain[plain["row"] == row]
        history = encode(lines["history_item_id"]).tolist()
        seen = [(code, len(history) - 1 - place) for place, code in enumerate(history)]
        code = int(encode([item])[0])
        whole = by_loops(model, train_store, seen, code)
        for place, (change, bare) in enumerate(zip(lines["change"], others["change"], strict=True)):
            expected = whole - by_loops(model, train_store, seen[:place] + seen[place + 1 :], code)
            assert change - bare == pytest.approx(expected, abs=1e-4)
            largest = max(largest, expected)
    assert largest > 0.5, "no interaction matters: the test shows little"


def test_a_saved_model_keeps_its_tables_and_weights(model: Recommender, world: Any, tmp_path: Any) -> None:
    model.save(tmp_path / "model")
    again = Recommender.load(tmp_path / "model")
    mine, other = model.scorer.state_dict(), again.scorer.state_dict()
    names = [name for name in mine if name.startswith("memory.")]
    assert len(names) == 1 + 3 * len(REACHES)
    assert all(torch.equal(mine[name], other[name]) for name in names)
    assert len(other["memory.tables.0.items"]) >= 12
    assert torch.equal(other["memory.weights"], WEIGHTS)
    asked = {"history": world.log, "k": 5}
    pd.testing.assert_frame_equal(again.recommend(**asked), model.recommend(**asked))


def test_empty_tables_are_saved_and_loaded(model: Recommender, tmp_path: Any) -> None:
    bare = copy.deepcopy(model)
    bare.scorer.memory.tables[0].items = torch.zeros(0, dtype=torch.int32)
    bare.scorer.memory.tables[0].shares = torch.zeros(0)
    bare.scorer.memory.tables[0].offsets.zero_()
    bare.save(tmp_path / "model")
    again = Recommender.load(tmp_path / "model").scorer.memory
    assert len(again.tables[0].items) == 0
    assert torch.equal(again.tables[1].items, model.scorer.memory.tables[1].items)


def test_only_train_is_counted(world: Any, small_model: Any, small_train: Any) -> None:
    config = small_model(score="attention", attention="transitions")
    alone, beside = (
        Recommender(config, small_train(max_epochs=1)).fit(world.train, valid=valid) for valid in (None, world.valid)
    )
    for name, value in alone.scorer.memory.state_dict().items():
        if name != "weights":
            assert torch.equal(beside.scorer.memory.state_dict()[name], value), name
    assert torch.equal(alone.scorer.memory.weights, torch.tensor(UNVALIDATED))


def test_a_half_life_reaches_the_tables(world: Any, small_model: Any, small_train: Any, model: Recommender) -> None:
    config = small_model(score="attention", attention="transitions")
    aged = Recommender(config, small_train(max_epochs=1, half_life=0.1)).fit(world.train, items=world.items)
    counted = count_transitions(
        HistoryStore.from_frame(read_interactions(world.train), model.items.vocabulary), steps=1, half_life=0.1
    )
    np.testing.assert_allclose(aged.scorer.memory.tables[0].shares, counted.shares, rtol=1e-6)
    assert aged.scorer.memory.tables[0].shares.sum() < 0.9 * model.scorer.memory.tables[0].shares.sum()


def test_nothing_at_or_after_the_moment_of_a_request_changes_its_scores(model: Recommender, world: Any) -> None:
    moment = int(world.log["timestamp"].min()) + 4 * 3600 + 1000
    late = world.log["timestamp"] >= moment
    assert 0 < late.sum() < len(world.log)
    rng = np.random.default_rng(2)
    other = world.log.copy()
    other.loc[late, "item_id"] = rng.permutation(other.loc[late, "item_id"].to_numpy())
    asked = {"k": 5, "as_of": moment, "exclude_seen": False}
    expected = model.recommend(history=world.log, **asked)
    pd.testing.assert_frame_equal(model.recommend(history=other, **asked), expected)
    pd.testing.assert_frame_equal(model.recommend(history=world.log[~late], **asked), expected)
    early = world.log.copy()
    early.loc[~late, "item_id"] = rng.permutation(early.loc[~late, "item_id"].to_numpy())
    assert not model.recommend(history=early, **asked).equals(expected)


def test_a_table_that_weighs_nothing_is_not_looked_into(
    model: Recommender, batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = copy.deepcopy(model.scorer)
    scorer.memory.weights.copy_(torch.tensor([0.5, 0.0, 0.0]))
    asked = []
    for place, table in enumerate(scorer.memory.tables):
        real = table.forward
        monkeypatch.setattr(table, "forward", lambda *args, _p=place, _f=real: asked.append(_p) or _f(*args))
    with torch.inference_mode():
        scorer(batch)
    assert asked == [0]


def test_a_model_saved_with_fewer_tables_is_read_as_it_was(model: Recommender) -> None:
    state = model.scorer.memory.state_dict()
    old = {name: value for name, value in state.items() if not name.startswith("tables.2.")}
    old["weights"] = state["weights"][:2]
    again = TransitionMemory(SIZE + 1)
    again.load_state_dict(old)
    assert torch.equal(again.weights, torch.tensor([*WEIGHTS.tolist()[:2], 0.0]))
    assert torch.equal(again.tables[1].shares, state["tables.1.shares"])
    assert len(again.tables[2].shares) == 0
