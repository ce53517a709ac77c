from __future__ import annotations

import errno
import subprocess
import sys

import pytest

import recattn as package
from recattn.cli import prepare
from recattn.cli.main import COMMANDS

HEAVY = ("torch", "lightning", "mlflow", "pandas", "jsonargparse", "rich")


def test_help_lists_every_command(recattn) -> None:
    done = recattn("--help")
    assert done.status == 0
    assert all(f"  {name} " in done.out for name in COMMANDS)


def test_help_and_version_load_no_heavy_library() -> None:
    code = (
        "import sys; from recattn.cli.main import main; main(['--help']); main(['--version']); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == [f"recattn {package.__version__}", "[]"]


def test_no_command_shows_the_help_but_is_a_misuse(recattn) -> None:
    done = recattn()
    assert (done.status, "usage: recattn COMMAND" in done.out) == (2, True)


def test_a_misspelt_command_names_the_nearest(recattn) -> None:
    done = recattn("recomend")
    assert done.status == 2
    assert done.err == "error: recattn has no command 'recomend'. Did you mean 'recommend'? See recattn --help.\n"


def test_an_unknown_option_before_the_command_is_a_misuse(recattn) -> None:
    done = recattn("--versoin")
    assert (done.status, "Did you mean '--version'?" in done.err) == (2, True)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_its_options(recattn, name: str) -> None:
    done = recattn(name, "--help")
    assert done.status == 0
    assert done.out.startswith(f"usage: recattn {name}")
    assert "--config" in done.out


def test_help_of_train_comes_from_the_dataclasses(recattn) -> None:
    out = " ".join(recattn("train", "--help").out.split())
    assert "--model.max_history" in out
    assert "Most recent interactions a request sees. (type: int, default: 200)" in out


def test_a_mistake_of_the_user_is_one_line_without_traceback(recattn) -> None:
    done = recattn("prepare", "nowhere.csv", "--out", "store")
    assert done.status == 1
    assert done.err.startswith("error: interactions: no file or folder 'nowhere.csv'")
    assert done.err.count("\n") == 1


def test_debug_shows_the_traceback(recattn, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Traceback" in recattn("prepare", "nowhere.csv", "--out", "store", "--debug").err
    monkeypatch.setenv("RECATTN_DEBUG", "1")
    assert "Traceback" in recattn("prepare", "nowhere.csv", "--out", "store").err


def raising(error: BaseException):
    def run(data: str) -> None:
        """Fail."""
        raise error

    return run


def test_an_interruption_ends_with_130(recattn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "run", raising(KeyboardInterrupt()))
    done = recattn("prepare", "x.csv")
    assert (done.status, done.err) == (130, "error: interrupted.\n")


def test_a_full_disk_is_told_without_traceback(recattn, monkeypatch: pytest.MonkeyPatch) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "scores.csv")
    monkeypatch.setattr(prepare, "run", raising(error))
    done = recattn("prepare", "x.csv")
    assert (done.status, done.err) == (1, "error: scores.csv: No space left on device\n")


def test_an_error_of_our_own_is_not_hidden(recattn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "run", raising(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError, match="ours"):
        recattn("prepare", "x.csv")
