"""A real lake of three XRootD sites with a transfer manager, and what a test does with it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil

from pytest_datalake.credentials.tokens import TokenSource
from pytest_datalake.lake import composition
from pytest_datalake.matrix.load import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_datalake.matrix.model import Endpoint, Matrix

ROOT = Path(__file__).parents[2]
SITES = ("COMO", "GARDA", "LEMAN")
ENDED = {"FINISHED", "FAILED", "CANCELED", "FINISHEDDIRTY"}
CONTENT = bytes(range(256)) * 400
ADLER32 = "ADLER32:"

_HEAD = """\
version: 1
lake: embedded
vo: escape
experiments: [ska, lofar]
qos_classes: {A: fast disk}
services: {fts: {}}
sites:
"""

_SITE = """\
  {site}:
    rses:
      {site}-A:
        technology: xrootd
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints:
          - protocol: davs
            auth: [token-scope, token-group, x509-voms]
            tpc: {{active: [pull, push], passive: [pull, push]}}
          - protocol: root
            auth: [token-scope, token-group, x509-voms]
            tpc: {{active: [pull], passive: [pull]}}
"""


@dataclass
class Answer:
    """What the service said."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:  # noqa: ANN401  # JSON
        return json.loads(self.text)


class SmallLake:
    """Up from the moment it is made."""

    def __init__(self, home: Path) -> None:
        file = home / "matrix.yaml"
        file.write_text(_HEAD + "".join(_SITE.format(site=site) for site in SITES))
        self._lake = composition.up(load(file), home / "state", detached=False, progress=lambda _: None)
        self.matrix: Matrix = self._lake.matrix
        self.state = home / "state"
        self.url = dict(self.matrix.services)["fts"]
        self.directory = self.state / "fts" / "data"
        self.environment = {**os.environ, **self._lake.environment}
        self._plan = next(
            one
            for one in json.loads((self.state / "plan.json").read_text())["processes"]
            if one["name"] == "fts"
        )
        self._again: subprocess.Popen[bytes] | None = None
        for site in SITES:
            self.place(f"/ska/source-{site}", site)
        self._count = 0

    def close(self) -> None:
        if self._again is not None:
            self._again.terminate()
            self._again.wait()
        self._lake.down()

    # Files.

    def endpoint(self, site: str, protocol: str = "davs") -> Endpoint:
        return self.matrix.endpoint(f"{site}-A.{protocol}")

    def address(self, path: str, site: str, protocol: str = "davs") -> str:
        return self.endpoint(site, protocol).url(path)

    def source(self, site: str = "COMO", protocol: str = "davs") -> str:
        return self.address(f"/ska/source-{site}", site, protocol)

    def fresh(self, site: str = "GARDA", protocol: str = "davs") -> str:
        """An address where nothing is yet."""
        self._count += 1
        return self.address(f"/ska/arrived/{self._count}", site, protocol)

    def on_disk(self, url: str) -> Path:
        parts = urlsplit(url)
        site = next(
            one.site
            for one in self.matrix.endpoints
            if one.port == parts.port and one.protocol == parts.scheme
        )
        return self.state / "rse" / f"{site}-A" / "data" / parts.path.lstrip("/")

    def place(self, path: str, site: str, content: bytes = CONTENT) -> str:
        """Put a file where the site's daemon owns it."""
        url = self.address(path, site)
        file = self.on_disk(url)
        owner = self.on_disk(self.address("", site)).stat()
        file.write_bytes(content)
        os.chown(file, owner.st_uid, owner.st_gid)
        return url

    # The service.

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        identity: str = "ska",
        token: str = "",
        **headers: str,
    ) -> Answer:
        """One request, by the proxy of an identity unless a token is given; nobody's for an empty name."""
        context = ssl.create_default_context(cafile=self.matrix.trust.ca_file)
        if identity and not token:
            context.load_cert_chain(self.matrix.identity(identity).proxy)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = body if body is None or isinstance(body, str) else json.dumps(body)
        parts = urlsplit(self.url)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=30, context=context
        )
        try:
            connection.request(method, path, data, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            text = answer.read().decode()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)
        finally:
            connection.close()

    def token(self, scope: str, audience: str, identity: str = "ska") -> str:
        source = TokenSource(self.matrix.trust, self.matrix.identity(identity))
        return source.token(audience=audience, scope=scope)

    def submit(
        self, *pairs: tuple[str, str], token: str = "", identity: str = "ska", **params: object
    ) -> str:
        files = [{"sources": [source], "destinations": [destination]} for source, destination in pairs]
        return self.submit_files(files, token=token, identity=identity, **params)

    def submit_files(
        self, files: list[dict[str, Any]], *, token: str = "", identity: str = "ska", **params: object
    ) -> str:
        answer = self.call(
            "POST", "/jobs", {"files": files, "params": params}, token=token, identity=identity
        )
        assert answer.status == 200, answer.text
        return str(answer.body["job_id"])

    def files(self, job_id: str) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = self.call("GET", f"/jobs/{job_id}/files", identity="robot").body
        return answer

    def wait_for(self, probe: Callable[[], Any], seconds: float = 60) -> Any:  # noqa: ANN401  # what was found
        pause = threading.Event()
        deadline = time.monotonic() + seconds
        while not (found := probe()):
            assert time.monotonic() < deadline, "not reached in time"
            pause.wait(0.05)
        return found

    def ended(self, *job_ids: str, seconds: float = 60) -> list[dict[str, Any]]:
        """The jobs, with their files, when all of them have ended."""

        def look() -> list[dict[str, Any]] | None:
            answer = self.call(
                "GET", f"/jobs/{','.join(job_ids)}?files=file_state,reason,dest_surl", identity="robot"
            )
            jobs: list[dict[str, Any]] = answer.body if len(job_ids) > 1 else [answer.body]
            return jobs if {job["job_state"] for job in jobs} <= ENDED else None

        found: list[dict[str, Any]] = self.wait_for(look, seconds)
        return found

    def messages(self, topic: str) -> list[dict[str, Any]]:
        lines = (self.directory / "messages.jsonl").read_text().splitlines()
        return [one["body"] for one in map(json.loads, lines) if one["topic"].endswith(topic)]

    # Faults.

    def process(self) -> psutil.Process:
        if self._again is not None:
            return psutil.Process(self._again.pid)
        return psutil.Process(self._lake.status()["services"]["fts"]["pid"])

    def kill(self) -> list[int]:
        """SIGKILL; the processes that the service had, which end with it."""
        service = self.process()
        handles = [os.pidfd_open(one.pid) for one in [service, *service.children(recursive=True)]]
        service.send_signal(signal.SIGKILL)
        return handles

    def start_again(self) -> None:
        with Path(self._plan["output"]).open("ab") as output:
            self._again = subprocess.Popen(
                self._plan["command"],
                env=self._plan["environment"],
                cwd=self._plan["working_directory"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

        def answers() -> bool:
            try:
                return self.call("GET", "/", identity="").status == 200
            except OSError:
                return False

        self.wait_for(answers, 20)

    def fts3(self, **task: object) -> dict[str, Any]:
        """Run the unmodified client; what it found."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(ROOT / "tests/fts/fts3_session.py")],
            input=json.dumps({"url": self.url, **task}),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found
