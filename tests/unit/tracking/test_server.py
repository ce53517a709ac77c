"""What is said of an MLflow that cannot be read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from recattn.errors import ConfigError
from recattn.tracking.server import connect


@contextmanager
def answering(status: int, version: str) -> Iterator[str]:
    """A server on loopback that tells a version, and answers all else with `status`."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            known = self.path == "/version"
            body = version.encode() if known else b"You are not authenticated."
            self.send_response(200 if known else status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_server_of_an_older_major_version_is_named() -> None:
    with answering(200, "2.9.1") as url, pytest.raises(ConfigError, match=r"is version 2\.9\.1.*mlflow<3"):
        connect(url)


def test_wrong_credentials_are_told_without_showing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2222")
    with answering(401, "3.17.2") as url, pytest.raises(ConfigError, match="MLFLOW_TRACKING_USERNAME") as told:
        connect(url)
    assert "401" in str(told.value)
    assert "hunter2222" not in str(told.value)


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    with answering(200, "3.0.0") as url:
        pass
    with pytest.raises(ConfigError, match="cannot be reached: nothing answers there"):
        connect(url)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no MLflow database"):
        connect(f"sqlite:///{tmp_path}/none.db")
    assert not list(tmp_path.iterdir())


def test_the_database_of_the_tests_opens(uri: str) -> None:
    assert connect(uri).tracking_uri == uri
