"""Attention layers of a peer, timed in its environment: `python attention_layers.py recbole|fuxictr|rectools SIZES`.

Tells its rows with the pairs each scores as one JSON line; then, for each line on stdin that names a row, runs it once
and answers with the seconds it took. SIZES is JSON: requests, candidates, history, dim, heads, items, users, k.

A target-attention layer of RecBole or FuxiCTR takes one history a candidate, so a history is repeated for each, as
their own models do. RecTools scores the whole catalog with a dot product: `recommend` of its SASRec.
"""

import json
import sys
import time
import warnings

import torch

CHUNK = 250  # candidates at a time: their buffers stay below 300 MB


def layers_of(peer, size):
    """Name -> `attend(query [C, D], keys [C, H, D])`."""
    history, dim = size["history"], size["dim"]
    if peer == "recbole":
        from recbole.model.layers import SequenceAttLayer

        units = [4 * dim, 256, 256, 256]  # as DIN of RecBole has them
        layer = SequenceAttLayer(torch.arange(history).view(1, -1), units, "Sigmoid", False, False).eval()
        return {"RecBole SequenceAttLayer": lambda q, k: layer(q, k, torch.full((len(q),), history))}
    from fuxictr.pytorch.layers import DIN_Attention, MultiHeadTargetAttention

    din = DIN_Attention(embedding_dim=dim, attention_units=[64], hidden_activations="ReLU", use_softmax=False).eval()
    many = MultiHeadTargetAttention(input_dim=dim, attention_dim=dim, num_heads=size["heads"]).eval()
    return {
        "FuxiCTR DIN_Attention": lambda q, k: din(q, k, torch.ones(k.shape[:2], dtype=torch.bool)),
        "FuxiCTR MultiHeadTargetAttention": lambda q, k: many(q, k, torch.ones(k.shape[:2], dtype=torch.bool)),
    }


def attention_rows(peer, size):
    """Each layer over all candidates of some requests."""
    requests, candidates = size["requests"], size["candidates"]
    embedding = torch.nn.Embedding(size["items"], size["dim"])
    histories = torch.randint(1, size["items"], (requests, size["history"]))
    asked = torch.randint(1, size["items"], (requests, candidates))

    def job(attend):
        for history, items in zip(histories, asked, strict=True):
            for some in items.split(CHUNK):
                attend(embedding(some), embedding(history[None].repeat_interleave(len(some), 0)))

    layers = layers_of(peer, size)
    return {name: (requests * candidates, lambda attend=attend: job(attend)) for name, attend in layers.items()}


def rectools_rows(size):
    """The best k of the catalog for all users, by the dot product with the state of their histories."""
    import numpy as np
    import pandas as pd
    import pytorch_lightning as pl
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    users, history, items = size["users"], size["history"], size["items"]
    codes = np.resize(np.random.default_rng(0).permutation(items) + 1, users * history)
    log = pd.DataFrame({"user_id": np.repeat(np.arange(users), history), "item_id": codes, "weight": 1.0})
    log["datetime"] = pd.to_datetime(log.groupby("user_id").cumcount(), unit="s")
    dataset = Dataset.construct(log)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}

    def trainer():
        return pl.Trainer(max_epochs=1, limit_train_batches=1, enable_checkpointing=False, accelerator="cpu", **quiet)

    model = SASRecModel(n_factors=size["dim"], n_blocks=1, n_heads=size["heads"], session_max_len=history,
                        batch_size=128, recommend_torch_device="cpu", get_trainer_func=trainer)  # fmt: skip
    model.fit(dataset)
    asked, catalog = log["user_id"].unique(), log["item_id"].nunique()
    run = lambda: model.recommend(users=asked, dataset=dataset, k=size["k"], filter_viewed=True)  # noqa: E731
    return {"RecTools SASRec recommend": (users * catalog, run)}


def main():
    """Serve rows until stdin ends."""
    warnings.filterwarnings("ignore")
    peer, size = sys.argv[1], json.loads(sys.argv[2])
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = rectools_rows(size) if peer == "rectools" else attention_rows(peer, size)
    print(json.dumps({name: pairs for name, (pairs, _) in rows.items()}), file=answers, flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            begin = time.perf_counter()
            rows[line.strip()][1]()
            print(time.perf_counter() - begin, file=answers, flush=True)


if __name__ == "__main__":
    main()
