"""Tests of the errors a user can meet."""

from __future__ import annotations

import pytest

from recattn import errors
from recattn.errors import RecattnError, listed, nearest

KINDS = [
    (errors.DataError, ValueError),
    (errors.ConfigError, ValueError),
    (errors.NotFittedError, RuntimeError),
    (errors.ArtifactError, ValueError),
    (errors.TrainingError, RuntimeError),
]


@pytest.mark.parametrize(("kind", "builtin"), KINDS)
def test_every_error_is_recattns_own_as_well_as_the_builtin_it_refines(kind: type, builtin: type) -> None:
    assert issubclass(kind, RecattnError)
    assert issubclass(kind, builtin)


def test_every_error_is_in_the_list_above() -> None:
    public = {value for value in vars(errors).values() if isinstance(value, type) and value is not RecattnError}
    assert {kind for kind in public if issubclass(kind, RecattnError)} == {kind for kind, _ in KINDS}


def test_nearest_names_the_closest_option() -> None:
    assert nearest("timestmp", ["user_id", "timestamp", "time"]) == " Did you mean 'timestamp'?"


@pytest.mark.parametrize(("name", "options"), [("price", ["genres", "year"]), ("price", []), ("", ["price"])])
def test_nearest_is_empty_where_nothing_is_close(name: str, options: list[str]) -> None:
    assert nearest(name, options) == ""


def test_nearest_takes_options_that_are_no_text() -> None:
    assert nearest("1001", [1002, ("a", 1)]) == " Did you mean '1002'?"  # type: ignore[list-item]


def test_listed_shows_the_first_values_with_the_count_of_the_rest() -> None:
    assert listed(["a", 1, None]) == "'a', 1, None"
    assert listed(range(7), 3) == "0, 1, 2 and 4 more"
    assert listed(range(5)) == "0, 1, 2, 3, 4"


def test_listed_of_nothing_is_empty() -> None:
    assert listed([]) == ""


def test_listed_reads_a_generator_once() -> None:
    assert listed((letter for letter in "abc"), 2) == "'a', 'b' and 1 more"
