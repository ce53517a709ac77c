"""The `recattn` command: the subcommand it runs, how its errors look."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from recattn import __version__
from recattn.errors import ConfigError, RecattnError, nearest

COMMANDS = {
    "demo": "train on a generated world, beside baselines and its oracle",
    "prepare": "turn a tidy file of interactions into a history store",
    "train": "train a model, judge it beside baselines, save it",
    "tune": "search the settings that validate best",
    "evaluate": "judge a model, or anybody's recommendations",
    "score": "score a file of candidates",
    "recommend": "list the best items for users",
    "runs": "list the runs of MLflow, the best or the latest",
    "promote": "make a run's model the champion, by evidence",
    "rollback": "give the champion's place back to the one before",
    "doctor": "say what a batch job would take, and what is wrong with its inputs",
    "publish": "put the shards of a batch job together",
    "compare": "set runs beside each other: differences, whom they hold for, costs",
    "explain": "show which past interactions moved a score",
}
DEBUG, DEBUG_VARIABLE = "--debug", "RECATTN_DEBUG"
OK, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit status.

    0: done. 1: the data, a file or the training failed. 2: wrong usage or settings. 3: `promote` refused by its rules.
    130: interrupted. A mistake of the user is one message on stderr; `--debug`, or RECATTN_DEBUG=1, shows its traceback
    too. Errors that are not meant for users come with theirs.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    debug = DEBUG in given or os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0")
    given = [argument for argument in given if argument != DEBUG]
    if given[:1] in (["-V"], ["--version"]):
        print(f"recattn {__version__}")
        return OK
    if given[:1] in ([], ["-h"], ["--help"], ["help"]):
        print(overview())
        return OK if given else MISUSED
    if given[0] not in COMMANDS:
        kind = "option" if given[0].startswith("-") else "command"
        names = ["--help", "--version", DEBUG] if kind == "option" else list(COMMANDS)
        return _complain(f"recattn has no {kind} {given[0]!r}.{nearest(given[0], names)} See recattn --help.", MISUSED)
    return _run(given[0], given[1:], debug)


def overview() -> str:
    """What `recattn --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: recattn COMMAND [--config FILE.yaml] [options]",
            "",
            "Multi-head target attention over interaction histories.",
            "",
            "commands:",
            *lines,
            "",
            "options:",
            "  --help       this text; after a command, all of its options",
            "  --version    the version",
            f"  {DEBUG}      show the traceback of an error (or set {DEBUG_VARIABLE}=1)",
            "",
            "New here? Run: recattn demo",
        ]
    )


def _run(name: str, given: list[str], debug: bool) -> int:
    from recattn.cli.arguments import parse, speak_cli
    from recattn.cli.console import talking

    command = importlib.import_module(f"recattn.cli.{name}").run
    try:
        with talking(debug=debug):
            command(**parse(name, command, given))
        sys.stdout.flush()
    except SystemExit as stop:  # --help has been printed
        return stop.code if isinstance(stop.code, int) else OK
    except KeyboardInterrupt:
        _traceback(debug)
        return _complain("interrupted.", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except RecattnError as error:
        _traceback(debug)
        return _complain(speak_cli(str(error), command), MISUSED if isinstance(error, ConfigError) else FAILED)
    except Exception as error:
        if not isinstance(error, OSError) and not type(error).__module__.startswith("mlflow."):
            raise
        _traceback(debug)
        where = getattr(error, "filename", None)
        reason = getattr(error, "strerror", None) or error
        return _complain(f"{where}: {reason}" if where else f"{reason}", FAILED)
    return OK


def _complain(message: str, status: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


def _traceback(debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()


if __name__ == "__main__":
    sys.exit(main())
