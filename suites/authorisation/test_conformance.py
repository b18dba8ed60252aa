"""What the WLCG token profile and the rules of X.509 and VOMS grant is granted, and all else is refused.

The cases stand in a table: docs/reference/conformance.md. A site fails on a MUST; how it deals with what is
less than that is kept as evidence, and shown in the report's grid of requirements.
"""

import pytest

pytestmark = [
    pytest.mark.capability("authorisation"),
    pytest.mark.conformance,
    pytest.mark.cost(files=3, size="1 KiB"),
]


@pytest.mark.cells(cover="turns")
def test_case(case, attempt):
    wrong = attempt(case)
    assert not wrong, wrong


@pytest.mark.needs("embedded")
@pytest.mark.disruptive
def test_case_that_has_killed_doors(case, attempt_apart):
    wrong = attempt_apart(case)
    assert not wrong, wrong


@pytest.mark.requires("transfer")
@pytest.mark.links(cover="turns")
def test_copy(case, attempt_copy):
    wrong = attempt_copy(case)
    assert not wrong, wrong
