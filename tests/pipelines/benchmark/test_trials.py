"""Which settings are tried, and where they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.benchmark.models import MODELS, check_override, model
from pipelines.benchmark.trials import base_settings, trials
from recattn.errors import ConfigError


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text("shop:\n  recattn_all: {model.dim: 32}\n  recattn: {model.dropout: 0.5, model.num_heads: 4}\n")
    return path


def test_settings_of_the_data_set_reach_every_trained_model_and_those_of_ours_its_ablations(settings: Path) -> None:
    assert base_settings(model("recattn"), "shop", settings) == {
        "model.dim": 32,
        "model.dropout": 0.5,
        "model.num_heads": 4,
    }
    assert base_settings(model("one_head"), "shop", settings)["model.num_heads"] == 1
    assert base_settings(model("one_head"), "shop", settings)["model.dropout"] == 0.5
    assert base_settings(model("sasrec_ce"), "shop", settings) == {"model.dim": 32, "model.score": "retrieval"}
    assert base_settings(model("item_knn"), "shop", settings) == {}
    assert base_settings(model("recattn"), "elsewhere", settings) == {}


def test_trial_n_is_the_same_whatever_the_number_of_trials(settings: Path) -> None:
    few, many = (trials(model("recattn"), "shop", count, file=settings) for count in (3, 8))
    assert [one.name for one in few] == [one.name for one in many[:3]]
    assert few[0].settings == base_settings(model("recattn"), "shop", settings)
    assert len({one.name for one in many}) == 8


def test_a_small_space_is_tried_once_and_no_more(settings: Path) -> None:
    found = trials(model("popularity_window"), "shop", 50, file=settings)
    assert len(found) == 8
    assert {one.settings["window"] for one in found} == set(model("popularity_window").space["window"])
    assert len(trials(model("popularity"), "shop", 50, file=settings)) == 1


def test_an_override_counts_above_all_and_is_not_searched(settings: Path) -> None:
    found = trials(model("recattn"), "shop", 6, override={"model.dim": 8, "neighbors": 3}, file=settings)
    assert {one.settings["model.dim"] for one in found} == {8}
    assert all("neighbors" not in one.settings for one in found)


def test_every_setting_of_the_registry_means_something() -> None:
    for one in MODELS.values():
        for name in [*one.settings, *one.space]:
            assert one.takes(name), f"{one.name} does not take {name}"
        assert one.like is None or one.like in MODELS


def test_impossible_wishes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no model 'recatn'. Did you mean 'recattn'\?"):
        model("recatn")
    with pytest.raises(ConfigError, match="trials must be at least 1"):
        trials(model("recattn"), "shop", 0)
    with pytest.raises(ConfigError, match="'dim', which none of 'recattn' takes"):
        check_override([model("recattn")], {"dim": 8})
