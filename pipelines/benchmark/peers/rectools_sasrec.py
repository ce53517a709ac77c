"""RecTools' SASRec, run in its own environment: `fit` and `recommend` on the files of a folder.

In: settings.json; train.parquet, valid.parquet (user_id, item_id, oldest first); for `recommend` history.parquet
(request_id, item_id, oldest first) and requests.parquet. Out: fit.json, weights.pt, epochs.jsonl;
recommendations.parquet (request_id, item_id, rank). Where valid.parquet has no rows all epochs are trained, and the
last weights are kept.
"""

import argparse
import json
import shutil
import time
import warnings
from pathlib import Path

import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

REQUESTS_AT_ONCE = 20_000
NDCG = "valid/ndcg_at_10"


class Quality(Callback):
    """NDCG@10 of the first validation interaction a user over the full catalog without the items of the session."""

    def on_validation_epoch_start(self, trainer, module):
        self.values = []

    def on_validation_batch_end(self, trainer, module, outputs, batch, batch_idx, dataloader_idx=0):
        scores = outputs["logits"].detach().float().reshape(len(batch["x"]), -1).clone()
        target = batch["y"][:, -1:]
        fresh = ~(batch["x"] == target).any(dim=1)
        wanted = scores.gather(1, target)
        scores.scatter_(1, batch["x"], -torch.inf)  # the padding, item 0, is among them
        rank = (scores > wanted).sum(dim=1) + 1
        self.values.append(torch.where(rank <= 10, 1 / torch.log2(rank + 1.0), 0.0)[fresh].cpu())

    def on_validation_epoch_end(self, trainer, module):
        module.log(NDCG, torch.cat(self.values).mean())


class Clock(Callback):
    """One line an epoch: seconds and metrics, kept over restarts."""

    def __init__(self, path):
        self.path, self.since = path, time.perf_counter()

    def on_train_epoch_end(self, trainer, module):
        now = time.perf_counter()
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        line = {"epoch": trainer.current_epoch, "seconds": round(now - self.since, 2), **metrics}
        self.since = now
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def log_of(train, valid):
    """Both as RecTools wants them; the moments only say the order."""
    frame = pd.concat([train, valid], ignore_index=True)
    times = pd.to_datetime(range(len(frame)), unit="s")
    return frame.assign(**{Columns.Datetime: times, Columns.Weight: 1.0})


def built(folder, settings):
    """The model with its data, not trained; validation interactions are held out of training."""
    train, valid = (pd.read_parquet(folder / f"{name}.parquet") for name in ("train", "valid"))
    cut = pd.to_datetime(len(train), unit="s")
    names = ("n_factors", "n_blocks", "n_heads", "dropout_rate", "session_max_len", "loss", "lr", "batch_size")
    pl.seed_everything(settings["seed"])
    model = SASRecModel(
        **{name: settings[name] for name in names},
        epochs=settings["max_epochs"],
        get_val_mask_func=(lambda frame: (frame[Columns.Datetime] >= cut).to_numpy()) if len(valid) else None,
        get_trainer_func=lambda: None,  # the trainer is made where it is used
        recommend_torch_device="cuda" if torch.cuda.is_available() else "cpu",
    )
    model._build_model_from_dataset(Dataset.construct(log_of(train, valid)))
    return model, train


def fit(folder, settings):
    """Train until NDCG@10 has not improved for `patience` epochs and keep the best weights; else the last of all."""
    model, _ = built(folder, settings)
    train, valid = model.data_preparator.get_dataloader_train(), model.data_preparator.get_dataloader_val()
    checkpoints = folder / "checkpoints"
    clock = Clock(folder / "epochs.jsonl")
    if valid is None:
        kept = "last.ckpt"
        keep = [ModelCheckpoint(checkpoints, "last", enable_version_counter=False)]
    else:
        kept, watched = "best.ckpt", {"monitor": NDCG, "mode": "max"}
        best = ModelCheckpoint(checkpoints, "best", **watched, save_last=True, enable_version_counter=False)
        keep = [Quality(), EarlyStopping(**watched, patience=settings["patience"]), best]
    trainer = pl.Trainer(
        max_epochs=settings["max_epochs"],
        callbacks=[*keep, clock],
        logger=False,
        devices=1,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    last = checkpoints / "last.ckpt"
    module = model.lightning_model
    module.is_fitted = last.exists()  # else it would draw its weights anew
    trainer.fit(module, train, valid, ckpt_path=str(last) if last.exists() else None)
    weights = torch.load(checkpoints / kept, map_location="cpu", weights_only=False)["state_dict"]
    torch.save(weights, folder / "weights.pt")
    lines = [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]
    curve = list({line["epoch"]: line for line in lines}.values())
    about = {
        "seconds": sum(line["seconds"] for line in curve),
        "epochs": len(curve),
        "best_epoch": None if valid is None else max(curve, key=lambda line: line[NDCG])["epoch"],
        "parameters": sum(weight.numel() for weight in module.parameters()),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "curve": curve,
    }
    (folder / "fit.json.part").write_text(json.dumps(about))
    (folder / "fit.json.part").rename(folder / "fit.json")
    shutil.rmtree(checkpoints)


def recommend(folder, settings, k):
    """The best `k` items of each request without those it has seen; the popular ones where nothing known was seen."""
    model, train = built(folder, settings)
    model.lightning_model.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    model.is_fitted = model.lightning_model.is_fitted = True
    history = pd.read_parquet(folder / "history.parquet")
    requests = pd.read_parquet(folder / "requests.parquet")["request_id"]
    known = history[history["item_id"].isin(model.data_preparator.get_known_item_ids())]
    asked = requests[requests.isin(known["request_id"])].to_numpy()
    parts = []
    for start in range(0, len(asked), REQUESTS_AT_ONCE):
        some = asked[start : start + REQUESTS_AT_ONCE]
        rows = known[known["request_id"].isin(some)].rename(columns={"request_id": "user_id"})
        dataset = Dataset.construct(log_of(rows, rows.iloc[:0]))  # each request is a user of its own
        parts.append(model.recommend(users=some, dataset=dataset, k=k, filter_viewed=True))
    popular = train["item_id"].value_counts().index[:k]
    rest = pd.DataFrame({"user_id": requests[~requests.isin(asked)]})
    rest = rest.merge(pd.DataFrame({"item_id": popular, "rank": range(1, len(popular) + 1)}), how="cross")
    found = pd.concat([*parts, rest]).rename(columns={"user_id": "request_id"})
    found[["request_id", "item_id", "rank"]].to_parquet(folder / "recommendations.parquet", index=False)


def main():
    """`python rectools_sasrec.py fit|recommend --folder DIR`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["fit", "recommend"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--k", type=int, default=20)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    settings = json.loads((given.folder / "settings.json").read_text())
    if given.what == "fit":
        fit(given.folder, settings)
    else:
        recommend(given.folder, settings, given.k)


if __name__ == "__main__":
    main()
