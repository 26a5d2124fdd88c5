"""A server as operators run it: `davinci-payer serve` in a process of its own, which can be killed.

with Serving(database_url=url, demo_reviewer="1") as server:
    server.http.post("/r2.2/fhir/Claim/$submit", …)
    server.kill()          SIGKILL, as the power fails
    server.start()         again, on the same port
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import httpx

PROGRAM = Path(sys.executable).with_name("davinci-payer")
START = 120.0
"""Seconds within which a server must answer, also on a machine that is busy."""


def free_port() -> int:
    """Below those that connections are given: a client that knocks where nobody listens yet could be given
    the very port it knocks at, and would keep the server out."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as asked, suppress(OSError):
            asked.bind(("127.0.0.1", port))
            return port


class Serving:
    """Settings are given by name; what a developer's own environment or `.env` says does not count. Where a
    test fails, the server's log goes to its output."""

    def __init__(self, **settings: str) -> None:
        self.port = free_port()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
        self._folder = tempfile.TemporaryDirectory(prefix="payer")
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "PORT": str(self.port),
            "TEST_CLOCK": "2026-11-25T10:00:00Z",
            **{name.upper(): value for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return Path(self._folder.name) / "log"

    def start(self) -> None:
        """Returns at once; `ready` waits."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "serve"],
                env=self._environment,
                cwd=self._folder.name,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def ready(self) -> None:
        """Waits until it answers. Raises RuntimeError with the end of its log where it never does."""
        for _ in range(int(START / 0.05)):
            try:
                if self.http.get("/health").status_code == 200:
                    return
            except httpx.TransportError:
                if self._process is None or self._process.poll() is not None:
                    break
            time.sleep(0.05)
        raise RuntimeError("the server did not start: " + self.log.read_text()[-2000:])

    def kill(self) -> None:
        """As the power fails: nothing is flushed, closed or said good-bye to."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Serving:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        if error is not None:
            print(f"the server on port {self.port} said", self.log.read_text()[-10_000:], file=sys.stderr)
        self.http.close()
        self._folder.cleanup()
