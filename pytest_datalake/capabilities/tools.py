"""The command line clients that people use, run with an identity's credential and a deadline."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.capabilities.access import SMALL_CALL
from pytest_datalake.errors import EngineError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_datalake.drivers.api import Credential
    from pytest_datalake.matrix.model import Trust

_LOST_DOOR = {
    "XRD_CONNECTIONWINDOW": "3",
    "XRD_CONNECTIONRETRY": "1",
    "XRD_STREAMERRORWINDOW": "5",
    "XRD_REQUESTTIMEOUT": "60",
}
"""Without these an XRootD client waits for a dead door for minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRun:
    """How a command ended.

    Attributes:
        command: as one would type it; secrets are in files and environment, never in it.
        code: exit status.
        output: what it wrote to standard output.
        error: the last 2,000 characters of what it wrote to standard error.
    """

    command: str
    code: int
    output: bytes
    error: str

    def succeeded(self) -> bytes:
        """What it wrote to standard output. Raises ``StorageError`` for an exit status other than 0."""
        if self.code != 0:
            raise StorageError(f"{self.command}\nended with {self.code}: {self.error.strip()}", kind="other")
        return self.output


class Tools:
    """Runs client commands as one identity.

    Args:
        trust: CAs and VOMS directory.
        scratch: private directory; holds headers with tokens, 0600, as long as a command runs.
        budget: seconds that a command may take.
    """

    def __init__(self, trust: Trust, scratch: Path, *, budget: float = SMALL_CALL) -> None:
        self._trust = trust
        self._scratch = scratch
        self._budget = budget

    def run(self, command: Sequence[str | Path], credential: Credential) -> ToolRun:
        """Run a command to its end.

        Raises:
            StorageError: it did not end within its budget (kind "timeout").
            EngineError: it is not installed.
        """
        words = [str(word) for word in command]
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment(credential),
                cwd=self._scratch,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise EngineError(
                f"{words[0]} is not installed; `make setup` installs the Debian packages"
            ) from None
        try:
            output, error = process.communicate(timeout=self._budget)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise StorageError(
                f"{shlex.join(words)} did not end within {self._budget:.0f} s",
                kind="timeout",
                operation=words[0],
            ) from None
        text = error.decode(errors="replace")[-2000:]
        return ToolRun(command=shlex.join(words), code=process.returncode, output=output, error=text)

    def curl(self, arguments: Sequence[str | Path], credential: Credential) -> ToolRun:
        """Run curl, failing on HTTP errors (``--fail``), with the credential in a file."""
        command: list[str | Path] = ["curl", "--silent", "--show-error", "--fail", "--location"]
        if self._trust.ca_file:
            command += ["--cacert", self._trust.ca_file]
        if credential.kind == "x509":
            command += ["--cert", credential.proxy, "--key", credential.proxy]
        header = self._scratch / f"curl-{os.getpid()}.header"
        try:
            if credential.kind == "token":
                descriptor = os.open(header, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "w") as file:
                    file.write(f"Authorization: Bearer {credential.token}\n")
                command += ["--header", f"@{header}"]
            return self.run([*command, *arguments], credential)
        finally:
            header.unlink(missing_ok=True)

    def _environment(self, credential: Credential) -> dict[str, str]:
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self._scratch),
            "LANG": "C.UTF-8",
            "GFAL_PYTHONBIN": "/usr/bin/python3",
            "X509_CERT_DIR": self._trust.ca_directory,
            "X509_VOMS_DIR": self._trust.voms_directory,
            **_LOST_DOOR,
        }
        if self._trust.ca_file:
            environment["SSL_CERT_FILE"] = self._trust.ca_file
        if credential.kind == "x509":
            environment["X509_USER_PROXY"] = credential.proxy
            environment["XrdSecPROTOCOL"] = "gsi"
        elif credential.kind == "token":
            environment["BEARER_TOKEN"] = credential.token
            environment["XrdSecPROTOCOL"] = "ztn"
        return environment
