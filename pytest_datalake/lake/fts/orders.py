"""From a file whose turn has come to what a worker is told: credentials, mode, what may be replaced."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_datalake.lake.fts.attempt import Credential, Order, Report
from pytest_datalake.lake.fts.model import CERTIFICATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_datalake.lake.fts.attempt import Action
    from pytest_datalake.lake.fts.config import Settings
    from pytest_datalake.lake.fts.delegation import Delegations
    from pytest_datalake.lake.fts.model import File, Job

_HTTP = {"davs", "https", "s3s"}
_STAGING_SECONDS = 28_800
"""What FTS waits for a tape system where the job does not say."""


class NoCredentialError(Exception):
    """There is nothing to show for this job."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.text)
        self.report = report


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """The process that an order needs: only orders of the same key may share one."""

    key: str
    environment: Mapping[str, str]


class Orders:
    """Makes orders.

    Args:
        settings: of the service.
        delegations: where proxies are.
        keys: ``scheme://host:port`` -> access_key and secret_key of an object store.
    """

    def __init__(
        self, settings: Settings, delegations: Delegations, keys: Mapping[str, Mapping[str, str]]
    ) -> None:
        self._settings = settings
        self._delegations = delegations
        self._keys = keys

    def make(
        self,
        action: Action,
        job: Job,
        file: File,
        *,
        last_hop: bool,
        left_behind: bool,
        storages: Mapping[str, Mapping[str, Any]],
    ) -> Order:
        """The order for a file. Raises ``NoCredentialError``.

        Args:
            action: what is to be done.
            job: the file's job.
            file: what it is to be done with.
            last_hop: the file arrives where the job wants it.
            left_behind: what lies at the destination may be of an attempt of ours that was killed.
            storages: settings of storages.
        """
        proxy = self._proxy(job)
        letter = job.overwrite_flag
        replaces = (
            letter == "Y" or (letter == "R" and file.retry > 0) or (letter in {"M", "Q"} and not last_hop)
        )
        seconds = job.timeout
        if action == "stage":
            seconds = job.bring_online if job.bring_online > 0 else _STAGING_SECONDS
        elif action == "archive":
            seconds = job.archive_timeout
        archive = action == "archive"
        return Order(
            action=action,
            source=file.dest_surl if archive else file.source_surl,
            destination="" if action in {"stage", "archive"} else file.dest_surl,
            source_credential=self._credential(
                file.dest_se if archive else file.source_se, file.source_token, proxy
            ),
            destination_credential=self._credential(file.dest_se, file.dest_token, proxy),
            checks=job.verify_checksum,
            checksum=file.checksum,
            size=file.user_filesize,
            replaces=replaces or left_behind,
            replaces_on_disk=letter in {"D", "Q"} and last_hop,
            mode=copy_mode(file.source_se, file.dest_se, storages),
            strict=job.strict_copy,
            cleans_up=not job.disable_cleanup,
            nostreams=job.nostreams,
            buffer_size=job.buffer_size,
            seconds=max(seconds, 0),
            pin_lifetime=max(job.copy_pin_lifetime, 0),
            interval=self._settings.poll_interval,
            dst_file_report=job.dst_file_report,
        )

    def _proxy(self, job: Job) -> str:
        if job.auth_method != CERTIFICATE:
            return ""
        path = self._delegations.proxy_file(job.cred_id)
        if not path:
            raise NoCredentialError(
                Report(
                    scope="GENERAL_FAILURE",
                    code=errno.EACCES,
                    text=f"proxy expired or missing for {job.user_dn}: delegate a fresh one",
                    phase="TRANSFER_SERVICE",
                )
            )
        return path

    def _credential(self, storage: str, token: str, proxy: str) -> Credential:
        if storage in self._keys:
            keys = self._keys[storage]
            return Credential(access_key=keys["access_key"], secret_key=keys["secret_key"])
        return Credential(proxy=proxy, token=token)

    def needed(self, order: Order) -> Needed:
        """The process that the order needs.

        Tokens and keys are part of each http request; a certificate is part of a connection, and what gfal2
        keeps of one identity must not serve another. xroot and GridFTP log a connection in with what the
        environment holds: such a process is one identity for ever.
        """
        ends = [(order.source, order.source_credential)]
        if order.destination:
            ends.append((order.destination, order.destination_credential))
        schemes = {urlsplit(url).scheme for url, _ in ends}
        proxies = sorted({credential.proxy for _, credential in ends if credential.proxy})
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": self._settings.directory,
            "LANG": "C.UTF-8",
            "X509_CERT_DIR": self._settings.ca_directory,
            "SSL_CERT_FILE": self._settings.ca_file,
            "XrdSecPROTOCOL": "host",  # shows nothing; the default would show /tmp/x509up_u<uid>
            "XRD_CONNECTIONWINDOW": "120",  # a login on a busy machine takes long
            "XRD_CONNECTIONRETRY": "1",
            "XRD_STREAMERRORWINDOW": "5",
            "XRD_STREAMTIMEOUT": "60",
            "XRD_REQUESTTIMEOUT": "60",
            "XRD_TIMEOUTRESOLUTION": "1",
        }
        if schemes <= _HTTP:
            return Needed(key="/".join(("http", *proxies)), environment=environment)
        # One login for both ends of a third-party copy by xroot: that of the destination.
        shown = ends[-1][1] if urlsplit(ends[-1][0]).scheme not in _HTTP else ends[0][1]
        if shown.token:
            environment |= {"BEARER_TOKEN": shown.token, "XrdSecPROTOCOL": "ztn"}
        elif shown.proxy:
            environment |= {"X509_USER_PROXY": shown.proxy, "XrdSecPROTOCOL": "gsi"}
        mark = hashlib.sha256(f"{shown.token}\n{shown.proxy}".encode()).hexdigest()[:16]
        return Needed(key=f"login/{mark}", environment=environment)


def copy_mode(source: str, destination: str, storages: Mapping[str, Mapping[str, Any]]) -> str:
    """How an http copy is done: by the destination if it can, else by the source, else through us."""
    if storages.get(destination, {}).get("tpc_support", "FULL") in {"FULL", "PULL"}:
        return "3rd pull"
    if storages.get(source, {}).get("tpc_support", "FULL") in {"FULL", "PUSH"}:
        return "3rd push"
    return "streamed"
