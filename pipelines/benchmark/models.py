"""The models: a name, what it is made of, what of it is searched. A new one is one entry here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import recattn as ra
from pipelines.benchmark import peers
from recattn.errors import ConfigError, listed, nearest

Group = Literal["ours", "ablation", "rival", "peer", "baseline"]
Kind = Literal["recattn", "Popularity", "Recency", "ItemKNN", "Transition", "peer"]
RIVALS: tuple[Group, ...] = ("rival", "peer", "baseline")  # what ours is compared with


@dataclass(frozen=True)
class Model:
    """One row of the tables.

    Settings are flat: `model.dim` and `train.learning_rate` for what recattn trains, the names of its attributes for a
    baseline, those of its script for a peer.
    """

    name: str
    group: Group
    kind: Kind
    settings: Mapping[str, Any] = field(default_factory=dict)  # what differs from the defaults
    space: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # what trials after the first draw from
    like: str | None = None  # has the settings of that model in settings.yaml, too
    features: bool = False  # uses attributes of items and users; its catalog then has the items nobody touched, too
    shuffled: bool = False  # trains on histories whose items are in random order
    needs: Literal["times", "events"] | None = None  # what the data must have

    @property
    def trained(self) -> bool:
        """Whether it has weights: seeds matter, and the data set's settings for trained models count."""
        return self.kind in ("recattn", "peer")

    def takes(self, setting: str) -> bool:
        """Whether a setting of that name means anything to it."""
        if self.kind == "recattn":
            return setting.startswith(("model.", "train."))
        if self.kind == "peer":
            return setting in peers.defaults(self.name)
        return setting in getattr(ra, self.kind).__dataclass_fields__


SPACE = {
    "model.dim": (64, 128),
    "model.num_layers": (1, 2, 3),
    "model.num_heads": (1, 2, 4),
    "model.dropout": (0.1, 0.2, 0.3, 0.5),
    "train.learning_rate": (3e-4, 1e-3, 2e-3),
    "train.batch_size": (16, 32, 64, 128),
    "train.weight_decay": (0.0, 0.01, 0.1),
}
WINDOWS = ("1D", "3D", "7D", "14D", "30D", "90D", "180D", "365D")
RETRIEVAL = {"model.score": "retrieval"}
HEADS = {"model.score": "attention", "model.attention": "heads"}


def _ablation(name: str, **more: Any) -> Model:
    return Model(name, "ablation", "recattn", like="recattn", **more)


MODELS = {
    model.name: model
    for model in (
        # baselines
        Model("popularity", "baseline", "Popularity"),
        Model("popularity_1d", "baseline", "Popularity", {"window": "1D"}, needs="times"),
        Model("popularity_7d", "baseline", "Popularity", {"window": "7D"}, needs="times"),
        Model("popularity_30d", "baseline", "Popularity", {"window": "30D"}, needs="times"),
        Model("popularity_window", "baseline", "Popularity", {"window": "7D"}, {"window": WINDOWS}, needs="times"),
        Model("recency", "baseline", "Recency", {}, {"half_life": WINDOWS}, needs="times"),
        Model(
            "item_knn",
            "baseline",
            "ItemKNN",
            space={
                "neighbors": (20, 50, 100, 200, 500),
                "max_history": (1, 2, 3, 5, 10, 20, 50, None),
                "shrinkage": (0.0, 1.0, 5.0, 10.0, 30.0, 100.0),
            },
        ),
        Model(
            "transition",
            "baseline",
            "Transition",
            space={
                "window": (1, 2, 3, 5, 10),
                "gap_decay": (0.3, 0.5, 0.7, 0.9),
                "last": (1, 2, 3, 5, 10),
                "popularity_power": (0.0, 0.25, 0.5, 0.75),
            },
        ),
        # rivals inside our code: the attention terms are off
        Model("sasrec_ce", "rival", "recattn", RETRIEVAL, SPACE),
        Model(
            "esasrec",
            "rival",
            "recattn",
            RETRIEVAL | {"train.loss": "sampled_softmax", "train.num_negatives": 256},
            SPACE,
        ),
        # peers, each in its own environment
        Model(
            "rectools_sasrec",
            "peer",
            "peer",
            space={
                "n_factors": (64, 128, 256),
                "n_blocks": (1, 2, 3),
                "n_heads": (1, 2, 4),
                "dropout_rate": (0.1, 0.2, 0.3, 0.5),
                "lr": (3e-4, 1e-3, 2e-3),
                "batch_size": (64, 128, 256),
            },
        ),
        # DIN's attention in our trainer, in place of dot products
        Model("din_mlp", "rival", "recattn", HEADS | {"model.matching": "mlp"}, SPACE),
        # ours
        Model("recattn", "ours", "recattn", space=SPACE),
        Model("recattn_features", "ours", "recattn", {"model.id_dropout": 0.1}, SPACE, like="recattn", features=True),
        # ablations: the same as ours but for one thing
        _ablation("no_transitions", settings=RETRIEVAL),
        _ablation("heads_too", settings={"model.attention": "both"}),
        _ablation("heads_only", settings=HEADS),
        _ablation("heads_whole_catalog", settings=HEADS | {"train.num_negatives": 1_000_000}),
        _ablation("uniform_pooling", settings=HEADS | {"model.matching": "uniform"}),
        _ablation("raw_keys", settings=HEADS | {"model.keys": "items"}),
        _ablation("separate_embeddings", settings=HEADS | {"model.keys": "separate"}),
        _ablation("deep_too", settings={"model.score": "deep"}),
        _ablation("no_self_attention", settings={"model.num_layers": 0}),
        _ablation("one_head", settings={"model.num_heads": 1}),
        _ablation("float32", settings={"train.precision": "float32"}),
        _ablation("no_behaviours", settings={"model.use_events": False}, needs="events"),
        _ablation("shuffled_histories", shuffled=True),
    )
}


def model(name: str) -> Model:
    """The model of that name; ConfigError for an unknown one."""
    if name not in MODELS:
        raise ConfigError(f"no model {name!r}.{nearest(name, MODELS)} There are: {', '.join(MODELS)}.")
    return MODELS[name]


def check_override(models: Iterable[Model], override: Mapping[str, Any]) -> None:
    """ConfigError for a setting that none of the models takes."""
    for setting in override:
        if not any(one.takes(setting) for one in models):
            raise ConfigError(
                f"override has {setting!r}, which none of {listed(one.name for one in models)} takes. Write model.NAME "
                "and train.NAME for what recattn trains, the attribute's name for a baseline, the script's for a peer."
            )
