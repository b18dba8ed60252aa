"""The Globus GridFTP server, in one of two shapes.

Started by root, it maps the VOMS attributes of a proxy to the account of an experiment (LCMAPS) and serves
the connection under that uid: areas are kept apart by the kernel. The accounts exist in a private passwd file
alone (nss_wrapper). Started by anybody else, it maps the subjects of all members to the caller (grid map
file): everyone who is let in may read and write every area.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_datalake.lake.daemons.api import Account, Process
from pytest_datalake.lake.daemons.files import make_directory, need, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_datalake.lake.daemons.api import RsePlan

PORTS = 1
PREFIX = "{data}/{vo}"

_FIRST_UID = 40_000
"""Accounts of experiments: above those of sites, below Debian's range of allocated ids (Policy 9.2.2)."""
_UIDS_PER_SITE = 100

_EVERYBODY = "lake"
"""Name of the only account of a server that was not started by root."""

_LCMAPS_CALLOUT = "/usr/lib/x86_64-linux-gnu/lcas-lcmaps-gt4-interface/liblcas_lcmaps_gt4_mapping.so"
_LCMAPS_MODULES = "/usr/lib/lcmaps"

_CONFIGURATION = """\
# GridFTP door of {rse} at {site}: {isolation}
port {port}
control_interface {host}
data_interface {host}
auth_level 1
restrict_paths RW{data}
home_dir {data}
connections_max 200
log_level ERROR,WARN,INFO,TRANSFER
log_single {log}
"""

_LCMAPS = """\
path = {modules}
good = "lcmaps_dummy_good.mod"
vomslocalaccount = "lcmaps_voms_localaccount.mod -gridmap {group_map}"

globus_gridftp_mapping:
vomslocalaccount -> good
"""


def prepare(plan: RsePlan) -> tuple[Process, ...]:
    """Write the configuration and the mapping, and make the area of every experiment.

    Raises:
        UsageError: the server, or what maps VOMS attributes, is not installed.
    """
    server = need("/usr/sbin/globus-gridftp-server", "globus-gridftp-server-progs")
    isolated = plan.account.drop
    # accounts of experiments must pass through to their own areas, which alone are theirs
    mode = 0o711 if isolated else 0o700
    directory = make_directory(plan.directory, plan.account, mode=mode)
    logs = make_directory(directory / "log", plan.account)
    make_directory(plan.data, plan.account, mode=mode)
    root = make_directory(plan.data / plan.vo, plan.account, mode=mode)
    accounts = _accounts(plan)
    for experiment in plan.experiments:
        make_directory(root / experiment.area.strip("/"), accounts[experiment.name])
    configuration = write_file(
        directory / "gridftp.conf",
        _CONFIGURATION.format(
            rse=plan.rse,
            site=plan.site,
            isolation="one account per experiment" if isolated else "one account for all, no isolation",
            host=plan.host,
            port=plan.ports[0],
            data=plan.data,
            log=logs / "gridftp.log",
        ),
        plan.account,
    )
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(directory),
        "X509_CERT_DIR": str(plan.authorities.ca_directory),
        "X509_VOMS_DIR": str(plan.authorities.voms_directory),
        "X509_USER_CERT": _own_copy(directory / "root-host.pem", plan.host_certificate, needed=isolated),
        "X509_USER_KEY": _own_copy(directory / "root-host.key", plan.host_key, needed=isolated),
        # the name that a data channel announces; without it the machine's own, which may not resolve
        "GLOBUS_HOSTNAME": plan.host,
    }
    environment |= _by_voms(plan, accounts) if isolated else _by_subject(plan)
    return (
        Process(
            name="gridftp",
            command=(server, "-daemon", "-c", str(configuration)),
            environment=environment,
            ready=((plan.host, plan.ports[0]),),
            log=logs / "gridftp.log",
            config=configuration,
            as_root=isolated,
            working_directory=directory,
        ),
    )


def _accounts(plan: RsePlan) -> dict[str, Account]:
    """Experiment name -> the account that owns its area."""
    if not plan.account.drop:
        return {experiment.name: plan.account for experiment in plan.experiments}
    first = _FIRST_UID + plan.account.uid % _UIDS_PER_SITE * _UIDS_PER_SITE
    uids = range(first, first + _UIDS_PER_SITE)
    return {
        experiment.name: Account(uid=uid, gid=uid, drop=True)
        for uid, experiment in zip(uids, plan.experiments, strict=False)
    }


def _by_voms(plan: RsePlan, accounts: Mapping[str, Account]) -> dict[str, str]:
    """Write the mapping of VOMS groups to accounts; returns the environment that switches it on."""
    need(_LCMAPS_CALLOUT, "lcas-lcmaps-gt4-interface")
    need(f"{_LCMAPS_MODULES}/lcmaps_voms_localaccount.mod", "lcmaps-plugins-voms")
    need(f"{_LCMAPS_MODULES}/lcmaps_dummy_good.mod", "lcmaps-plugins-basic-dummy")
    directory = plan.directory
    group_map = _write(
        plan,
        "groupmap",
        "".join(
            f'"{experiment.group}{below}" {experiment.name}\n'
            for experiment in plan.experiments
            for below in ("", "/*")
        ),
    )
    return {
        "GSI_AUTHZ_CONF": _write(
            plan, "gsi-authz.conf", f"globus_mapping {_LCMAPS_CALLOUT} lcmaps_callout\n"
        ),
        "LCMAPS_DB_FILE": _write(
            plan, "lcmaps.db", _LCMAPS.format(modules=_LCMAPS_MODULES, group_map=group_map)
        ),
        "LCMAPS_MOD_HOME": _LCMAPS_MODULES,
        "LCMAPS_POLICY_NAME": "globus_gridftp_mapping",
        "LCMAPS_LOG_FILE": str(directory / "log" / "lcmaps.log"),
        "LCMAPS_DEBUG_LEVEL": "3",
        "LLGT_LOG_FILE": str(directory / "log" / "lcmaps.log"),
        "LLGT_RUN_LCAS": "no",
        "LLGT_LIFT_PRIVILEGED_PROTECTION": "yes",
        **_private_names(plan, accounts),
    }


def _by_subject(plan: RsePlan) -> dict[str, str]:
    """Write the grid map file with the subjects of all members; returns the environment that names it."""
    subjects = sorted({subject for members in plan.members.values() for subject in members})
    grid_map = "".join(f'"{subject}" {_EVERYBODY}\n' for subject in subjects)
    return {
        "GRIDMAP": _write(plan, "grid-mapfile", grid_map),
        **_private_names(plan, {_EVERYBODY: plan.account}),
    }


def _private_names(plan: RsePlan, accounts: Mapping[str, Account]) -> dict[str, str]:
    """Names for uids that the machine's own passwd file need not know (nss_wrapper(1))."""
    wrapper = need("/usr/lib/x86_64-linux-gnu/libnss_wrapper.so", "libnss-wrapper")
    users = [f"{name}:x:{one.uid}:{one.gid}::{plan.data}:/bin/false\n" for name, one in accounts.items()]
    groups = [f"{name}:x:{one.gid}:\n" for name, one in accounts.items()]
    return {
        "LD_PRELOAD": wrapper,
        "NSS_WRAPPER_PASSWD": _write(plan, "passwd", "".join(["root:x:0:0::/:/bin/false\n", *users])),
        "NSS_WRAPPER_GROUP": _write(plan, "group", "".join(["root:x:0:\n", *groups])),
        # the server asks for the name of its address, and does not start where no name server answers
        "NSS_WRAPPER_HOSTS": _write(plan, "hosts", f"{plan.host} {plan.host}\n127.0.0.1 localhost\n"),
    }


def _own_copy(copy: Path, original: Path, *, needed: bool) -> str:
    # Globus refuses a key that belongs to another uid than the server's
    return str(write_file(copy, original.read_text(), None) if needed else original)


def _write(plan: RsePlan, name: str, content: str) -> str:
    # connections are served under other accounts, which look themselves up
    return str(write_file(plan.directory / name, content, plan.account, mode=0o644))
