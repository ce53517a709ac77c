"""The settings of a model: small frozen dataclasses, each default in one place."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from recattn.errors import ConfigError, nearest

Time = Literal["timestamp", "order"]
Ties = Literal["exclude", "order"]
RequestTime = Literal["hidden", "given"]
Stage = Literal["retrieval", "attention", "deep"]
STAGES: tuple[Stage, ...] = ("retrieval", "attention", "deep")

Config = TypeVar("Config", bound="ModelConfig | TrainConfig")


@dataclasses.dataclass(frozen=True)
class Categorical:
    """A column with one value a row. Missing and unseen values have codes of their own."""

    column: str


@dataclasses.dataclass(frozen=True)
class Multi:
    """A column with several values a row: lists, or text cut at `separator`."""

    column: str
    separator: str = "|"


@dataclasses.dataclass(frozen=True)
class Numeric:
    """A column of numbers; `log` takes sign(x) log(1+|x|) first, `standardize` then centres and scales on train."""

    column: str
    log: bool = False
    standardize: bool = True


FeatureSpec = Categorical | Multi | Numeric


def _at_least(config: object, **bounds: float) -> None:
    for name, low in bounds.items():
        value = getattr(config, name)
        if value is not None and not value >= low:
            raise ConfigError(f"{type(config).__name__}.{name} must be at least {low}, got {value!r}.")


def _check_types(config: Any) -> None:
    """Refuse values of another type than the field's: text in a number, say."""
    for field in dataclasses.fields(config):
        value, hint = getattr(config, field.name), str(field.type)
        wanted = {"int": int, "float": float, "bool": bool, "str": str}.get(hint.split(" | ")[0], str)
        fits = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
        fits = fits or (wanted is float and isinstance(value, int) and not isinstance(value, bool))
        fits = fits or (value is None and "None" in hint)
        if not fits or (wanted is float and value is not None and math.isinf(value)):
            raise ConfigError(
                f"{type(config).__name__}.{field.name} must be {'a finite number' if wanted is float else hint}, "
                f"got {value!r} ({type(value).__name__})."
            )


def _one_of(config: object, **choices: tuple[str, ...]) -> None:
    for name, options in choices.items():
        value = getattr(config, name)
        if value not in options:
            raise ConfigError(
                f"{type(config).__name__}.{name} must be one of {', '.join(options)}, got {value!r}."
                f"{nearest(str(value), options)}"
            )


def _rates(config: object, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not 0 <= value < 1:
            raise ConfigError(f"{type(config).__name__}.{name} must lie in [0, 1), got {value!r}.")


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The scorer.

    Attributes:
        dim: Width of item embeddings and states.
        num_heads: Heads of every attention; must divide `dim`.
        num_layers: Causal self-attention blocks of the history encoder; 0 reads raw item embeddings.
        deep_layers: Target-attention layers of the deep score.
        score: The most expensive score the model has: `retrieval`, `attention` or `deep`.
        attention: What the attention score adds to the retrieval score: `transitions` (what followed the last
            interactions in train), `heads` (the linear attention head) or `both`.
        matching: How a head weighs interactions for a candidate: `cosine` of query and key, `mlp` of both (DIN), or
            `uniform`, all alike.
        keys: What a head sees of an interaction: the encoder's `states`, or the embeddings of `items` as they are.
            `separate`: heads of the attention score weigh states by embeddings made for that alone, of items and
            candidates (DARE, arXiv 2410.02604); the deep score looks at states.
        max_history: Most recent interactions a request sees.
        dropout: Rate on embeddings, block outputs and within the feed-forward.
        id_dropout: Rate at which an item's id row is replaced by the shared cold row while training.
        time: `timestamp` (seconds, ages count) or `order` (the order is all that is known).
        ties: `exclude`: interactions of one moment are not each other's history; `order`: they are, in order.
        request_time: `hidden`: ages count from the last event seen; `given`: from the request's as_of.
        use_events: Whether the `event_type` of a past interaction is part of its key.
        use_weights: Whether the `weight` (a rating, an amount) of a past interaction is part of its key.
    """

    dim: int = 128
    num_heads: int = 2
    num_layers: int = 2
    deep_layers: int = 1
    score: Stage = "attention"
    attention: Literal["transitions", "heads", "both"] = "transitions"
    matching: Literal["cosine", "uniform", "mlp"] = "cosine"
    keys: Literal["states", "items", "separate"] = "states"
    max_history: int = 200
    dropout: float = 0.3
    id_dropout: float = 0.0
    time: Time = "timestamp"
    ties: Ties = "exclude"
    request_time: RequestTime = "hidden"
    use_events: bool = True
    use_weights: bool = False

    def __post_init__(self) -> None:
        _check_types(self)
        _at_least(self, dim=1, num_heads=1, num_layers=0, deep_layers=1, max_history=1)
        _rates(self, "dropout", "id_dropout")
        _one_of(
            self,
            score=STAGES,
            attention=("transitions", "heads", "both"),
            matching=("cosine", "uniform", "mlp"),
            keys=("states", "items", "separate"),
            time=("timestamp", "order"),
            ties=("exclude", "order"),
            request_time=("hidden", "given"),
        )
        for name, usual in (("matching", "cosine"), ("keys", "states")):
            if getattr(self, name) != usual and not self.has_heads:
                raise ConfigError(
                    f"ModelConfig.{name}={getattr(self, name)!r} is of attention heads, but score={self.score!r} "
                    f"with attention={self.attention!r} has none. Set score='attention', attention='heads'."
                )
        if self.keys == "separate" and (self.attention == "transitions" or self.matching == "uniform"):
            raise ConfigError(
                "ModelConfig.keys='separate' is of the weights that heads of the attention score learn, but "
                f"attention={self.attention!r} with matching={self.matching!r} learns none. "
                "Set attention='heads', matching='cosine'."
            )
        if self.dim % self.num_heads:
            raise ConfigError(f"ModelConfig.dim ({self.dim}) must be divisible by num_heads ({self.num_heads}).")
        if self.time == "order" and self.request_time == "given":
            raise ConfigError("ModelConfig.request_time='given' needs time='timestamp': an order has no ages.")

    @property
    def has_heads(self) -> bool:
        """Whether candidates look at the history by learned heads."""
        return self.score == "deep" or (self.score == "attention" and self.attention != "transitions")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How the scorer is trained.

    Attributes:
        max_epochs: Passes over the training windows at most.
        batch_size: Windows (stretches of one user's history) a step.
        learning_rate: Peak rate of AdamW.
        weight_decay: Decoupled decay of matrices; embeddings, biases and norms have none.
        warmup_steps: Steps of linear warm-up.
        schedule: `constant` or `cosine` (to a hundredth of the peak over `max_epochs`) after the warm-up.
        precision: Of matrix products in training: `float32`, `bf16` (weights and sums stay float32), or `auto`: `bf16`
            where the device has units for it.
        clip_norm: Largest norm of the gradient; 0 clips nothing.
        loss: Loss of the retrieval score: `softmax` (full catalog), `sampled_softmax` (logQ-corrected) or `bce`.
        num_negatives: Shared negatives a step for sampled losses and for the attention scores; the whole catalog where
            that is smaller.
        attention_weight: Weight of the attention score's loss beside the retrieval loss.
        negatives_power: Negatives are drawn by popularity to this power; 0 is uniform.
        hard_negatives: Items of the highest retrieval score that the deep score learns to tell from the target.
        head_positions: Positions a window on which the deep score is trained.
        head_weight: Weight of its loss beside the retrieval loss.
        head_gradient: Share of that loss's gradient that reaches what it has in common with the retrieval score.
        half_life: Days before the end of train after which an interaction counts half, as a target of a softmax loss
            and as a transition; None, or data without times, lets all count alike.
        window_overlap: Share of `max_history` that neighbouring windows of one long history have in common.
        valid_target: Validation requests: every held-out interaction (`successive`), a user's `last`, or `all` at
            once, asked for before the first.
        valid_requests: Validation requests at most: a fixed sample drawn with `seed`. None takes all.
        valid_every: Epochs between validations.
        patience: Validations without a better NDCG@10 before training stops; 0 never stops early.
        seed: Everything random follows from it.
    """

    max_epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.0
    warmup_steps: int = 100
    schedule: Literal["constant", "cosine"] = "cosine"
    precision: Literal["auto", "float32", "bf16"] = "auto"
    clip_norm: float = 1.0
    loss: Literal["softmax", "sampled_softmax", "bce"] = "softmax"
    num_negatives: int = 512
    attention_weight: float = 2.0
    negatives_power: float = 0.5
    hard_negatives: int = 64
    head_positions: int = 4
    head_weight: float = 0.5
    head_gradient: float = 0.0
    half_life: float | None = None
    window_overlap: float = 0.5
    valid_target: Literal["last", "successive", "all"] = "successive"
    valid_requests: int | None = 2000
    valid_every: int = 1
    patience: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        _check_types(self)
        _at_least(
            self,
            max_epochs=1,
            batch_size=1,
            weight_decay=0,
            warmup_steps=0,
            clip_norm=0,
            num_negatives=1,
            hard_negatives=0,
            negatives_power=0,
            head_positions=1,
            head_weight=0,
            attention_weight=0,
            head_gradient=0,
            valid_requests=1,
            valid_every=1,
            patience=0,
            seed=0,
        )
        _rates(self, "window_overlap")
        if self.half_life is not None and not self.half_life > 0:
            raise ConfigError(f"TrainConfig.half_life must be positive, got {self.half_life!r}.")
        if not self.learning_rate > 0:
            raise ConfigError(f"TrainConfig.learning_rate must be positive, got {self.learning_rate!r}.")
        _one_of(
            self,
            schedule=("constant", "cosine"),
            precision=("auto", "float32", "bf16"),
            loss=("softmax", "sampled_softmax", "bce"),
            valid_target=("last", "successive", "all"),
        )


def to_dict(config: ModelConfig | TrainConfig) -> dict[str, Any]:
    """The configuration as plain JSON values."""
    return dataclasses.asdict(config)


def from_dict(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """A configuration of `kind` from plain values; an unknown key is an error that names the nearest."""
    names = [field.name for field in dataclasses.fields(kind)]
    for key in values:
        if key not in names:
            raise ConfigError(f"{kind.__name__} has no key {key!r}.{nearest(key, names)} It has: {', '.join(names)}.")
    return kind(**values)
