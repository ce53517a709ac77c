from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from recattn.cli.arguments import UsageError, keys_of, parse, speak_cli
from recattn.config import ModelConfig
from recattn.errors import ConfigError

MODEL = ModelConfig()


@dataclass(frozen=True)
class Names:
    """Names.

    Attributes:
        timestamp: One.
    """

    timestamp: str | None = None


NAMES = Names()


def command(
    data: str,
    k: int = 10,
    stage: Literal["cheap", "dear"] = "dear",
    extras: str | list[str] | None = None,
    specs: list[dict[str, Any]] | None = None,
    model: ModelConfig = MODEL,
    columns: Names = NAMES,
    overwrite: bool = False,
) -> None:
    """Do something.

    Args:
        data: What with.
    """


def asked(*given: str) -> dict[str, Any]:
    return parse("try", command, given)


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_options_become_arguments_with_settings_as_dataclasses() -> None:
    found = asked("--data", "x.csv", "--model.dim", "32", "--columns.timestamp", "ts")
    assert found == {
        "data": "x.csv",
        "k": 10,
        "stage": "dear",
        "extras": None,
        "specs": None,
        "model": ModelConfig(dim=32),
        "columns": Names("ts"),
        "overwrite": False,
    }


def test_yaml_fills_what_the_command_line_overrides(tmp_path: Path) -> None:
    text = "data: x.csv\nk: 3\nmodel: {dim: 16, num_layers: 1}\nspecs:\n- {kind: multi, column: genres}\n"
    found = asked("--config", write(tmp_path / "c.yaml", text), "--k", "5", "--model.num_layers=2")
    assert (found["k"], found["model"]) == (5, ModelConfig(dim=16, num_layers=2))
    assert found["specs"] == [{"kind": "multi", "column": "genres"}]


def test_a_date_in_yaml_stays_text(tmp_path: Path) -> None:
    assert asked("--config", write(tmp_path / "c.yaml", "data: 2024-05-01\n"))["data"] == "2024-05-01"


def test_a_first_argument_without_a_name_is_the_first_parameter() -> None:
    assert asked("x.csv", "--k", "3")["data"] == "x.csv"


def test_a_later_one_is_told_to_come_first() -> None:
    with pytest.raises(UsageError, match=r"(?i)unrecognized arguments: x\.csv\..*comes first: recattn try x\.csv"):
        asked("--k", "3", "x.csv")


@pytest.mark.parametrize(("given", "value"), [(["--overwrite"], True), (["--overwrite", "false"], False), ([], False)])
def test_a_bare_switch_is_true(given: list[str], value: bool) -> None:
    assert asked("x.csv", *given)["overwrite"] is value


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        (["--modle.dim", "3"], "model.dim"),
        (["--model.dmi", "3"], "model.dim"),
        (["--overwrit"], "overwrite"),
        (["--columns.timestam", "ts"], "columns.timestamp"),
    ],
)
def test_an_unknown_option_names_the_nearest(given: list[str], nearest: str) -> None:
    with pytest.raises(UsageError, match=f"Did you mean '{nearest}'\\? See recattn try --help"):
        asked("x.csv", *given)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("modle: {dim: 3}", "model"),
        ("model: {dimm: 3}", r"model\.dim"),
        ("data: x\ncolumns: {timestmp: ts}", r"columns\.timestamp"),
    ],
)
def test_an_unknown_key_in_yaml_names_the_nearest(tmp_path: Path, text: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"Did you mean '{nearest}"):
        asked("x.csv", "--config", write(tmp_path / "c.yaml", text))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--k", "many"], "--k must be int, got 'many'"),
        (["--stage", "chaep"], "--stage must be one of cheap, dear, got 'chaep'. Did you mean 'cheap'"),
        (["--model.score", "depp"], r"--model.score must be one of retrieval, .*got 'depp'. Did you mean 'deep'"),
        (["--specs", "genres"], "--specs must be .*, got 'genres'"),
    ],
)
def test_a_value_of_another_kind_says_what_is_wanted(given: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        asked("x.csv", *given)


def test_an_impossible_value_is_the_dataclass_own_error() -> None:
    with pytest.raises(ConfigError, match=r"ModelConfig\.dim \(33\) must be divisible by num_heads \(2\)"):
        asked("x.csv", "--model.dim", "33")


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(UsageError, match=r"data.*required|required: data"):
        asked("--k", "3")


@pytest.mark.parametrize(("text", "message"), [(None, "does not exist"), ("a: [", "Problems parsing config")])
def test_a_bad_config_file_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "c.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=message):
        asked("x.csv", "--config", str(path))


def test_keys_reach_into_dataclasses() -> None:
    assert {"config", "data", "model", "model.dim", "columns.timestamp"} <= set(keys_of(command))
    assert "return" not in set(keys_of(command))


@pytest.mark.parametrize(
    ("library", "cli"),
    [
        ("Pass overwrite=True to replace it.", "Pass --overwrite to replace it."),
        ("or pass columns={'timestamp': 'ts'}.", "or pass --columns.timestamp ts."),
        ("or pass columns={'timestamp': <its name>}.", "or pass --columns.timestamp <its name>."),
        ("Pass stage='dear'.", "Pass --stage dear."),
        ("Pass overwrite=False for it.", "Pass --overwrite false for it."),
        ("Pass history=log, or k=3.", "Pass history=log, or k=3."),
    ],
)
def test_remedies_are_told_as_options_of_the_command(library: str, cli: str) -> None:
    assert speak_cli(library, command) == cli
