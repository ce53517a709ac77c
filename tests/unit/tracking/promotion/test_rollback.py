"""Back to a champion before."""

from __future__ import annotations

import pytest

from recattn.errors import ArtifactError
from recattn.tracking.promotion import Rollback, Rules, promote, rollback
from recattn.tracking.promotion.rules import Guards
from recattn.tracking.promotion.shelf import Shelf
from tests.unit.tracking.promotion.conftest import Bench, report


@pytest.fixture
def three(bench: Bench) -> Bench:
    """A model whose versions 1, 2, 3 were champions one after another."""
    for week in (1, 2, 3):
        run = bench.run(*(report(0.05 * week, one) for one in range(week, 4)))
        assert bench.promote(run, week).version == str(week)
    assert bench.aliases == {"champion": "3"}
    return bench


def back(bench: Bench, to: int | None = None, *, dry_run: bool = False) -> Rollback:
    return rollback(bench.name, to=to, tracking_uri=bench.uri, dry_run=dry_run)


def test_a_rollback_gives_the_place_back_and_says_so(three: Bench) -> None:
    done = back(three)
    assert (done.version, done.previous, done.skipped) == ("2", "3", ())
    assert three.aliases == {"champion": "2"}
    assert three.tag("3", "decision") == "rolled back"
    assert three.tag("3", "rolled_back_by")
    assert [(one.action, one.state, one.version) for one in three.records][-1] == ("rollback", "rolled_back", "2")


def test_a_second_rollback_goes_one_further_back(three: Bench) -> None:
    assert [back(three).version, back(three).version] == ["2", "1"]
    with pytest.raises(ArtifactError, match="has no earlier champion to go back to"):
        back(three)
    assert three.aliases == {"champion": "1"}


def test_a_rollback_can_be_undone_by_name(three: Bench) -> None:
    back(three)
    assert back(three, 3).previous == "2"
    assert three.aliases == {"champion": "3"}
    assert back(three).version == "2"


def test_a_promotion_after_a_rollback_lies_on_the_one_gone_back_to(three: Bench) -> None:
    back(three)
    first = three.client.get_model_version(three.name, "2").run_id
    three.client.get_run(first)
    back(three)
    back(three, 3)
    assert back(three).version == "1"


def test_deleted_versions_are_passed_over(three: Bench) -> None:
    three.client.delete_model_version(three.name, "2")
    done = back(three)
    assert (done.version, done.skipped) == ("1", ("2",))
    with pytest.raises(ArtifactError, match=r"version 2 of .* is deleted"):
        back(three, 2)


def test_a_champion_that_was_deleted_is_followed_by_the_one_before(three: Bench) -> None:
    three.client.delete_model_version(three.name, "3")
    done = back(three)
    assert (done.version, done.previous, done.skipped) == ("2", None, ("3",))


def test_a_champion_set_by_hand_gives_way_to_the_gates_last(three: Bench) -> None:
    run = three.run(report(0, 9))
    refused = (
        promote(
            run, three.name, Rules(minimum=9), Guards(missing="skip"), prefix="w9", tracking_uri=three.uri, dry_run=True
        )
        if False
        else None
    )
    assert refused is None
    by_hand = Shelf(three.client, three.name).register(
        three.client.search_logged_models(
            [three.client.get_run(run).info.experiment_id], filter_string=f"source_run_id = '{run}'"
        )[0].model_id
    )
    three.client.set_registered_model_alias(three.name, "champion", by_hand)
    assert back(three).version == "3"


def test_a_dry_run_of_a_rollback_moves_nothing(three: Bench) -> None:
    assert back(three, dry_run=True).version == "2"
    assert three.aliases == {"champion": "3"}
    assert len(three.records) == 3


def test_versions_that_were_never_champion_are_refused(three: Bench) -> None:
    with pytest.raises(ArtifactError, match=r"version 7 of .* was never champion; 1, 2, 3 were"):
        back(three, 7)
    with pytest.raises(ArtifactError, match=r"version 3 of .* is the champion"):
        back(three, 3)
    with pytest.raises(ArtifactError, match="there is no registered model 'nobody'"):
        rollback("nobody", tracking_uri=three.uri)
