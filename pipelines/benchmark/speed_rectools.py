"""One measured process of RecTools' SASRec, in its own environment: `python speed_rectools.py spec.json out.json`."""

from __future__ import annotations

import time
import warnings
from typing import Any

from speed_process import EpochClock, measured, ndcg_at_10

warnings.filterwarnings("ignore")


def measure(spec: dict[str, Any]) -> dict[str, Any]:
    """Epochs of its own Lightning loop, after a warm-up of a few steps on a model that is thrown away."""
    import numpy as np
    import pandas as pd
    import pytorch_lightning as pl
    import rectools
    import torch
    from pytorch_lightning.callbacks import Callback
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    class Clock(EpochClock, Callback):
        """The clock in its Lightning."""

    def trainer(**settings: Any) -> pl.Trainer:
        """As the model makes its own, with the clock."""
        return pl.Trainer(
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            callbacks=[Clock()],
            **spec["row"]["train"],
            **settings,
        )

    def model(**settings: Any) -> SASRecModel:
        return SASRecModel(
            **spec["row"]["model"],
            verbose=0,
            recommend_torch_device="cpu",
            get_trainer_func=lambda: trainer(**settings),
        )

    pl.seed_everything(spec["seed"])
    begin = time.perf_counter()
    train = pd.read_csv(spec["train"])
    train[Columns.Datetime] = pd.to_datetime(train.pop("timestamp"), unit="s")
    train[Columns.Weight] = 1
    dataset = Dataset.construct(train)
    prepared = time.perf_counter() - begin

    model(max_epochs=1, limit_train_batches=spec["warm_up"]).fit(dataset)
    fitted, curve = model(max_epochs=1), []
    if spec["valid"]:
        valid = pd.read_csv(spec["valid"])
        for _ in range(spec["epochs"]):
            fitted.fit_partial(dataset, 1, 1)
            users = valid["user_id"].to_numpy()
            best = fitted.recommend(users, dataset, k=10, filter_viewed=True, on_unsupported_targets="ignore")
            lists = best.pivot(index="user_id", columns="rank", values="item_id").reindex(users)  # noqa: PD010
            curve.append(ndcg_at_10(lists.to_numpy(), valid["item_id"].to_numpy()))
            if spec["target"] is not None and curve[-1] >= spec["target"]:
                break
    else:
        fitted = model(max_epochs=spec["epochs"])
        fitted.fit(dataset)
    clock = next(one for one in fitted.fit_trainer.callbacks if isinstance(one, Clock))
    sessions = fitted.data_preparator.train_dataset.interactions.df.groupby(Columns.User).size()
    return {
        "epoch_seconds": clock.seconds,
        "targets": int((sessions - 1).sum()),
        "users": len(sessions),
        "items": int(fitted.data_preparator.item_id_map.size - fitted.data_preparator.n_item_extra_tokens),
        "steps": int(np.ceil(len(sessions) / fitted.batch_size)),
        "prepare_seconds": prepared,
        "train_loss": [],
        "ndcg_at_10": curve,
        "versions": {
            "rectools": rectools.__version__,
            "pytorch_lightning": pl.__version__,
            "its torch": torch.__version__,
        },
    }


if __name__ == "__main__":
    measured(measure)
