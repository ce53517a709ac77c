"""Which settings a search may try."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recattn.config import ModelConfig, TrainConfig
from recattn.errors import ConfigError, nearest

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

PARTS: dict[str, type[ModelConfig] | type[TrainConfig]] = {"model": ModelConfig, "train": TrainConfig}
FIELDS = {f"{part}.{field.name}": str(field.type) for part, kind in PARTS.items() for field in dataclasses.fields(kind)}
YARDSTICK = {"model.time", "model.ties", "train.valid_target", "train.valid_requests", "train.seed"}
KEYS = ("choices", "low", "high", "log", "step")
FORMS = "{choices: [32, 64]} or {low: 1e-4, high: 1e-2, log: true}"
ATTEMPTS = 200

Settings = tuple[ModelConfig, TrainConfig]


@dataclass(frozen=True)
class Dimension:
    """The values of one setting: `choices`, or from `low` to `high`, both among them."""

    name: str
    choices: tuple[Any, ...] | None = None
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None

    @classmethod
    def read(cls, name: str, values: object) -> Dimension:
        """A dimension from what YAML can say; ConfigError for what is none."""
        where = f"space: {name}"
        if name not in FIELDS:
            raise ConfigError(f"space has no setting {name!r}.{nearest(name, FIELDS)} It takes model.* and train.*.")
        if name in YARDSTICK:
            raise ConfigError(f"{where} cannot be searched: trials are judged by it. Set it once, outside the space.")
        if not isinstance(values, Mapping):
            raise ConfigError(f"{where} must be {FORMS}, got {values!r}.")
        for key in values:
            if key not in KEYS:
                raise ConfigError(f"{where} has no key {key!r}.{nearest(key, KEYS)} It must be {FORMS}.")
        if ("choices" in values) == ("low" in values or "high" in values):
            raise ConfigError(f"{where} must have choices, or low and high: {FORMS}, got {dict(values)!r}.")
        return cls._choices(name, values) if "choices" in values else cls._range(name, values)

    @classmethod
    def _choices(cls, name: str, values: Mapping[str, Any]) -> Dimension:
        given = values["choices"]
        if not isinstance(given, list | tuple) or not given:
            raise ConfigError(f"space: {name}.choices must be a list, such as [32, 64], got {given!r}.")
        if len(values) > 1 or len({repr(value) for value in given}) < len(given):
            raise ConfigError(f"space: {name} must be different choices and nothing else, got {dict(values)!r}.")
        return cls(name, choices=tuple(given))

    @classmethod
    def _range(cls, name: str, values: Mapping[str, Any]) -> Dimension:
        kind = FIELDS[name].split(" | ")[0]
        if kind not in ("int", "float"):
            raise ConfigError(f"space: {name} is no number: give choices, such as {{choices: [a, b]}}.")
        for key in ("low", "high", "step"):
            value = values.get(key, 1 if key == "step" else None)
            if not isinstance(value, int if kind == "int" else (int, float)) or isinstance(value, bool):
                wanted = "a whole number" if kind == "int" else "a number"
                raise ConfigError(f"space: {name}.{key} must be {wanted}, got {value!r}.")
        one = cls(name, low=values["low"], high=values["high"], log=values.get("log", False), step=values.get("step"))
        assert one.low is not None and one.high is not None  # noqa: PT018
        if not one.low < one.high:
            raise ConfigError(f"space: {name}.low must be below high, got low={one.low}, high={one.high}.")
        if not isinstance(one.log, bool) or (one.log and (one.low <= 0 or one.step is not None)):
            raise ConfigError(f"space: {name}.log must be true or false; true needs low above 0 and no step.")
        if one.step is not None and one.step <= 0:
            raise ConfigError(f"space: {name}.step must be above 0, got {one.step}.")
        return one

    @property
    def ends(self) -> tuple[Any, ...]:
        """The choices, or the ends of the range."""
        return self.choices if self.choices is not None else (self.low, self.high)

    def to_dict(self) -> dict[str, Any]:
        """As YAML says it."""
        if self.choices is not None:
            return {"choices": list(self.choices)}
        more = {"log": True} if self.log else {} if self.step is None else {"step": self.step}
        return {"low": self.low, "high": self.high, **more}

    def distribution(self) -> BaseDistribution:
        """As Optuna says it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices is not None:
            return CategoricalDistribution(self.choices)
        if FIELDS[self.name].startswith("int"):
            return IntDistribution(self.low, self.high, log=self.log, step=self.step or 1)
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True)
class Space:
    """The dimensions of a search, by name: `model.dim`, `train.learning_rate` ..."""

    dimensions: tuple[Dimension, ...]

    @classmethod
    def read(cls, values: object) -> Space:
        """A space from `{model.dim: {choices: [32, 64]}, train.learning_rate: {low: 1e-4, high: 1e-2, log: true}}`.

        Raises:
            ConfigError: A setting that does not exist (the nearest is named) or must not be searched, a range or
                choices that are none.
        """
        if not isinstance(values, Mapping) or not values:
            raise ConfigError(
                f"space must name the settings to search, such as {{model.dim: {{choices: [32, 64]}}}}, got {values!r}."
            )
        flat: dict[str, Any] = {}
        for name, value in values.items():
            inner = value if name in PARTS and isinstance(value, Mapping) else None
            flat |= {name: value} if inner is None else {f"{name}.{key}": one for key, one in inner.items()}
        return cls(tuple(Dimension.read(str(name), value) for name, value in flat.items()))

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """As YAML says it."""
        return {one.name: one.to_dict() for one in self.dimensions}

    def distributions(self) -> dict[str, BaseDistribution]:
        """As Optuna says it."""
        return {one.name: one.distribution() for one in self.dimensions}

    def settings(self, values: Mapping[str, Any], model: ModelConfig, train: TrainConfig) -> Settings:
        """`model` and `train` with the values of one trial; ConfigError where they do not fit together."""
        parts: dict[str, dict[str, Any]] = {"model": {}, "train": {}}
        for name, value in values.items():
            part, _, field = name.partition(".")
            parts[part][field] = value
        return dataclasses.replace(model, **parts["model"]), dataclasses.replace(train, **parts["train"])

    def check(self, model: ModelConfig, train: TrainConfig) -> None:
        """ConfigError for a choice, or an end of a range, that no values of the other dimensions go with."""
        rng = random.Random(0)
        for one in self.dimensions:
            for value in one.ends:
                reason: ConfigError | None = None
                for _ in range(ATTEMPTS):
                    others = {other.name: rng.choice(other.ends) for other in self.dimensions}
                    try:
                        self.settings(others | {one.name: value}, model, train)
                        break
                    except ConfigError as error:
                        reason = reason or error
                else:
                    raise ConfigError(f"space: {one.name} can never be {value!r}: {reason}")
