"""The Optuna study of a search, in its SQLite file."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recattn.errors import ArtifactError, ConfigError, RecattnError
from recattn.kinds import make

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

IDENTITY, RUN, VOID, ERROR, RETRIES = "recattn.identity", "recattn.run", "void", "error", 2


@dataclass(frozen=True)
class Tpe:
    """Tree-structured Parzen estimator (Bergstra et al., 2011), after `startup_trials` at random."""

    startup_trials: int = 10


@dataclass(frozen=True)
class RandomSearch:
    """Every trial by chance."""


@dataclass(frozen=True)
class Median:
    """Ends a trial whose best value so far is below the median of the earlier ones at that epoch.

    Not before `startup_trials` have ended, nor in a trial's first `warmup_epochs`.
    """

    startup_trials: int = 5
    warmup_epochs: int = 2


@dataclass(frozen=True)
class Hyperband:
    """Successive halving with several budgets (Li et al., 2018): of `reduction` trials one gets that much longer."""

    min_epochs: int = 2
    reduction: int = 3


@dataclass(frozen=True)
class NoPruning:
    """Every trial to its end."""


SAMPLERS = {"tpe": Tpe, "random": RandomSearch}
PRUNERS = {"median": Median, "hyperband": Hyperband, "none": NoPruning}
Spec = str | dict[str, Any]


def make_sampler(spec: Spec, seed: int, *, parallel: bool) -> optuna.samplers.BaseSampler:
    """A sampler that draws from `seed`; with `parallel` it keeps away from settings that are still being tried."""
    from optuna.samplers import RandomSampler, TPESampler

    kind = make(spec, SAMPLERS, "sampler")
    if isinstance(kind, RandomSearch):
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=kind.startup_trials, constant_liar=parallel)


def make_pruner(spec: Spec, max_epochs: int) -> optuna.pruners.BasePruner:
    """A pruner whose steps are epochs, counted from 1."""
    from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner

    kind = make(spec, PRUNERS, "pruner")
    if isinstance(kind, Median):
        return MedianPruner(n_startup_trials=kind.startup_trials, n_warmup_steps=kind.warmup_epochs + 1)
    if isinstance(kind, Hyperband):
        return HyperbandPruner(min(kind.min_epochs, max_epochs), max_epochs, kind.reduction)
    return NopPruner()


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Without Optuna's small talk."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"optuna\..*")
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def open_study(storage: Path, name: str, identity: Mapping[str, Any], pruner: Any) -> optuna.Study:
    """The study of that name, a new one where there is none, or none of whose trials has a value.

    Raises:
        ConfigError: The study there was begun with another space, other settings or data; the message says which.
        ArtifactError: The file is no storage, or cannot be written.
    """
    import optuna

    try:
        study = optuna.create_study(
            storage=optuna.storages.RDBStorage(f"sqlite:///{storage}", engine_kwargs={"connect_args": {"timeout": 60}}),
            study_name=name,
            direction="maximize",
            pruner=pruner,
            load_if_exists=True,
        )
        known = study.user_attrs.get(IDENTITY)
        plain = json.loads(json.dumps(identity))
        if known is None and study.get_trials(deepcopy=False):
            raise ConfigError(f"study {name!r} in {storage} is not of recattn. Take another name or storage.")
        if known is None:
            study.set_user_attr(IDENTITY, plain)
        elif changes := list(_changes(known, plain)):
            if all(trial.value is None for trial in study.get_trials(deepcopy=False)):  # nothing is lost
                optuna.delete_study(study_name=name, storage=study._storage)
                return open_study(storage, name, identity, pruner)
            raise ConfigError(
                f"study {name!r} in {storage} was begun otherwise: {'; '.join(changes)}. Its trials do not compare "
                "with new ones. Put that back, or begin a study of another name."
            )
    except RecattnError:
        raise
    except Exception as error:  # SQLAlchemy's, Optuna's
        reason = str(error).partition("\n")[0]
        raise ArtifactError(f"storage {storage} cannot be used as an Optuna storage: {reason}") from error
    return study


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """`space.model.dim was {...}, is {...}`; of data only that it has changed."""
    for part in sorted({*old, *new}):
        before, after = old.get(part, {}), new.get(part, {})
        for key in sorted({*before, *after}):
            if before.get(key) != after.get(key):
                what = f"was {before.get(key)!r}, is {after.get(key)!r}"
                yield f"{part}.{key} {'has changed' if part == 'data' else what}"


def bury(study: optuna.Study, trials: list[FrozenTrial]) -> int:
    """Fail trials whose process is gone and queue each again, `RETRIES` times at most; how many were queued."""
    from optuna.trial import TrialState

    queued = 0
    for trial in trials:
        attempt = trial.user_attrs.get("attempt", 0)
        again = attempt < RETRIES
        note = {VOID: "its process is gone"} if again else {ERROR: f"its process was gone {attempt + 1} times"}
        for key, value in note.items():
            study._storage.set_trial_user_attr(trial._trial_id, key, value)
        study.tell(trial.number, state=TrialState.FAIL)
        if again:
            study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number, "attempt": attempt + 1})
            queued += 1
    return queued


def running(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that have begun and not ended."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def counted(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that count as such: begun, and neither lost with their process nor of impossible settings."""
    from optuna.trial import TrialState

    every = study.get_trials(deepcopy=False)
    return [trial for trial in every if trial.state != TrialState.WAITING and VOID not in trial.user_attrs]


def next_seed(study: optuna.Study, seed: int) -> int:
    """The seed of the next new trial: by how many there are, so that a study that goes on draws as if undisturbed."""
    fresh = sum("retry_of" not in trial.user_attrs for trial in study.get_trials(deepcopy=False))
    return int(np.random.SeedSequence([seed, fresh]).generate_state(1)[0])
