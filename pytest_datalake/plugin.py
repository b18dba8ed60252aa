"""pytest's hooks, and nothing else: each hands over to ``fixtures``."""

from __future__ import annotations

import pickle
import sys
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_datalake.fixtures.ahead import ahead, sent_by_fts
from pytest_datalake.fixtures.apart import lake_apart
from pytest_datalake.fixtures.broker import broker
from pytest_datalake.fixtures.conformance import attempt
from pytest_datalake.fixtures.conformance_copies import attempt_copy
from pytest_datalake.fixtures.door_apart import attempt_apart
from pytest_datalake.fixtures.evidence import client_crashes, evidence
from pytest_datalake.fixtures.forged import (
    expired_proxy,
    expired_token,
    illegitimate_proxy,
    misdirected_token,
    revoked_certificate,
    storage_with,
)
from pytest_datalake.fixtures.fts import (
    a_transfer,
    arrival,
    by_fts,
    fts_administrator,
    third_place,
    transfer_manager,
)
from pytest_datalake.fixtures.iam import iam, newcomer
from pytest_datalake.fixtures.identities import identities
from pytest_datalake.fixtures.lake import LAKE, cell, lake, link, pool, scratch, test_directory
from pytest_datalake.fixtures.monitoring import monitoring
from pytest_datalake.fixtures.outcomes import PROPERTY, note_phase
from pytest_datalake.fixtures.refusals import refused
from pytest_datalake.fixtures.relays import door_that_opens
from pytest_datalake.fixtures.rucio import (
    add_rule,
    arrived_at,
    member,
    registered,
    rucio,
    rucio_as,
    rule_ends,
)
from pytest_datalake.fixtures.rules import MARKERS
from pytest_datalake.fixtures.rules_ahead import rule_of_link, rules_ahead
from pytest_datalake.fixtures.storage import identity, make_local, storage, storage_as, test_file
from pytest_datalake.fixtures.tools import tools
from pytest_datalake.fixtures.transfer import at_once, copy_as, copy_between, missing_file
from pytest_datalake.fixtures.waiting import eventually
from pytest_datalake.options import add_options

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from pytest_datalake.fixtures.controller import Controller
    from pytest_datalake.fixtures.handover import RunningLake
    from pytest_datalake.fixtures.planning import Planning

__all__ = [
    "a_transfer",
    "add_rule",
    "ahead",
    "arrival",
    "arrived_at",
    "at_once",
    "attempt",
    "attempt_apart",
    "attempt_copy",
    "broker",
    "by_fts",
    "cell",
    "client_crashes",
    "copy_as",
    "copy_between",
    "door_that_opens",
    "eventually",
    "evidence",
    "expired_proxy",
    "expired_token",
    "fts_administrator",
    "iam",
    "identities",
    "identity",
    "illegitimate_proxy",
    "lake",
    "lake_apart",
    "link",
    "make_local",
    "member",
    "misdirected_token",
    "missing_file",
    "monitoring",
    "newcomer",
    "pool",
    "refused",
    "registered",
    "revoked_certificate",
    "rucio",
    "rucio_as",
    "rule_ends",
    "rule_of_link",
    "rules_ahead",
    "scratch",
    "sent_by_fts",
    "storage",
    "storage_as",
    "storage_with",
    "test_directory",
    "test_file",
    "third_place",
    "tools",
    "transfer_manager",
]

_PLANNING: pytest.StashKey[Planning] = pytest.StashKey()
_CONTROLLER: pytest.StashKey[Controller] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Our options."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Our hooks."""
    from pytest_datalake import hooks

    pluginmanager.add_hookspecs(hooks)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Load the matrix once, in the controller; workers are given what it planned."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    given = getattr(config, "workerinput", None)
    if given is not None:
        if "datalake_planning" in given:
            from pytest_datalake.fixtures.handover import ask

            config.stash[_PLANNING] = pickle.loads(given["datalake_planning"])  # noqa: S301  # from our controller
            lake_once: Callable[[], RunningLake] = cache(
                partial(ask, given["datalake_address"], given["datalake_key"])
            )
            config.stash[LAKE] = lake_once
        return
    from pytest_datalake.fixtures.controller import controller_for

    controller = controller_for(config)
    if controller is not None:
        config.pluginmanager.register(ControllerHooks(controller), "datalake-controller")
        config.stash[_CONTROLLER] = controller
        config.stash[_PLANNING] = controller.planning
        config.stash[LAKE] = controller.run.running_lake


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin to bring up the lake while workers start."""
    controller = session.config.stash.get(_CONTROLLER, None)
    if controller is not None:
        controller.session_starts()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401  # xdist exports no type for it
    """Give a worker what the controller planned."""
    controller: Controller | None = node.config.stash.get(_CONTROLLER, None)
    if controller is not None:
        node.workerinput.update(controller.for_worker())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each cell or link that a test function asks for."""
    planning = metafunc.config.stash.get(_PLANNING, None)
    if planning is not None:
        try:
            planning.generate(metafunc)
        except pytest.UsageError as error:  # a mistake in a test file is told as pytest tells of those
            raise pytest.Collector.CollectError(str(error)) from None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop what the selection leaves no cell for: it is not generated, not skipped."""
    planning = config.stash.get(_PLANNING, None)
    if planning is not None:
        items[:] = [item for item in items if planning.keeps(item)]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Write down the plan before anything of it runs."""
    planning = session.config.stash.get(_PLANNING, None)
    if planning is None:
        return
    given = getattr(session.config, "workerinput", None)
    if given is not None:
        from pytest_datalake.fixtures.plan_file import write_plan

        write_plan(given["datalake_plan"], session.items, planning)
    else:
        session.config.stash[_CONTROLLER].collected(session.items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Sequence[str]) -> None:  # noqa: ANN401, ARG001
    """The first worker has collected: the plan is known to the controller."""
    controller: Controller | None = node.config.stash.get(_CONTROLLER, None)
    if controller is not None:
        controller.planned_by_worker()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """With --plan, print the plan instead of running it."""
    controller = session.config.stash.get(_CONTROLLER, None)
    return controller.print_plan(session.items) if controller is not None else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the result row to the report that goes to the controller."""
    report = yield
    planning = item.config.stash.get(_PLANNING, None)
    if planning is not None:
        note_phase(item, call, report, planning)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let hypothesis go where no test has used it: its summary would load all of it, in every worker."""
    manager = session.config.pluginmanager
    if _PLANNING in session.config.stash and "hypothesis" not in sys.modules:
        unused = manager.get_plugin("hypothesispytest")
        if unused is not None:
            manager.unregister(unused)


class ControllerHooks:
    """Hooks that only the controller implements; registered when there is a matrix."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the row of a finished test."""
        for name, value in report.user_properties:
            if name == PROPERTY:
                self._controller.record(str(value))
        if report.failed:
            self._controller.note_failure(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A test file that cannot be collected makes the run incomplete."""
        if report.failed:
            self._controller.note_failure(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str) -> None:
        """A worker died: its test is an error, whatever it was about to find."""
        self._controller.record_crash(crashitem)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Ctrl-C, or pytest stops itself."""
        self._controller.was_interrupted(excinfo.value)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """After the workers have gone: sweep, stop, report; the verdict decides the exit code."""
        yield
        session.exitstatus = self._controller.session_finishes(session.exitstatus)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """The verdict is the last thing that is printed."""
        self._controller.end()
        self._controller.print_verdict()

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: Any) -> None:  # noqa: ANN401  # pytest-html exports no types
        """Title of pytest-html's page."""
        report.title = self._controller.html_title()

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        """True totals above pytest-html's table."""
        prefix.extend(self._controller.html_summary())

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Our columns."""
        self._controller.html_header(cells)

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Our columns; tests that passed are left out."""
        self._controller.html_row(report, cells)
