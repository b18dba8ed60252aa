"""The cases of the suites that were there before, and by which of ours their meaning is covered.

Titles are theirs. What stands on the right is an id of the table, or the name of a test function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

WLCG: Mapping[str, tuple[str, ...]] = {
    "Token with random audience is rejected (permissive)": ("audience-of-another",),
    "Token with random audience is rejected (strict)": ("audience-of-another", "refusal-is-401"),
    "Token with correct audience is accepted": ("audience-right",),
    "Token with correct audience in multiple option is accepted": ("audience-right-in-a-list",),
    "Token with invalid multiple audiences is rejected (permissive)": ("audience-list-of-others",),
    "Token with invalid multiple audiences is rejected (strict)": (
        "audience-list-of-others",
        "refusal-is-401",
    ),
    "Read access denied to minimum priviledged token": ("scope-missing", "no-scope-does-not-read"),
    "Write access denied to minimum priviledged token": ("no-scope-does-not-write",),
    "Read access granted to wlcg.groups": ("group-reads",),
    "Write access granted to wlcg.groups": ("group-writes",),
    "Write access granted to storage.modify:/ scope": ("modify-writes", "modify-overwrites"),
    "Delete access granted to storage.modify:/ scope": ("modify-removes",),
    "Create dir granted to storage.modify:/ scope": ("modify-makes-directories",),
    "Read access granted with storage.read:/": ("path-of-everything", "token-valid"),
    "Write access denied with storage.read:/": ("read-does-not-write",),
    "storage.modify does not imply storage.read": ("modify-does-not-read",),
    "storage.create does not imply storage.read": ("create-does-not-read",),
    "storage.create does not allow overwriting files": ("create-does-not-overwrite",),
    "storage.create does not allow deleting files": ("create-does-not-remove",),
    "Default groups do not grant write access to /protected area": ("group-of-the-vo-alone-does-not-write",),
    "Wlcg/test group grants full access to /protected area": (
        "group-reads",
        "group-writes",
        "group-removes",
        "group-lists",
    ),
    "Path authorization enforced on storage.read": ("path-sibling", "path-parent-of-scope"),
    "Path authorization enforced on storage.modify": (
        "modify-does-not-write-elsewhere",
        "modify-does-not-remove-elsewhere",
    ),
    "storage.read:/foobar allows to read into the /foobar directory": ("path-of-the-parent",),
    "storage.read:/foo does not allow to read into the /foobar directory": ("path-prefix-directory",),
    "Create directory allowed with storage.create scope": ("create-makes-directories",),
    "Create directory not allowed with storage.create scope and partial path": ("path-prefix-mkdir",),
    "storage.read scope with path not compliant with RFC3986 is rejected": (
        "path-relative",
        "path-dots-leading-out",
    ),
    "Trailing slash allows to read into a directory": ("path-with-slash",),
}
"""indigo-iam/wlcg-jwt-compliance-tests, its 29 cases that are not commented out."""

ESCAPE: Mapping[str, tuple[str, ...]] = {
    "IAM ESCAPE is up": ("token-valid",),
    "IAM token service work as expected": ("token-valid", "audience-right"),
    "IAM VOMS service work as expected": ("voms-member-reads",),
    "Show directory content denied to unauthenticated clients": ("no-token-does-not-list",),
    "Read file denied to unauthenticated clients": ("token-none", "no-certificate"),
    "Write file denied to unauthenticated clients": ("no-token-does-not-write",),
    "Delete file denied to unauthenticated clients": ("no-token-does-not-remove",),
    "Create directory denied to unauthenticated clients": ("no-token-does-not-mkdir",),
    "Delete directory denied to unauthenticated clients": ("no-token-does-not-rmdir",),
    "Show directory content allowed to default groups": ("group-lists",),
    "Read file allowed to default groups": ("group-reads", "voms-member-reads"),
    "Write file allowed to default groups": ("group-writes", "voms-member-writes"),
    "Delete file allowed to default groups": ("group-removes", "voms-member-removes"),
    "Create directory allowed to default groups": (
        "group-makes-directories",
        "voms-member-makes-directories",
    ),
    "Delete directory allowed to default groups": ("group-removes-directories",),
    "Read access denied to IAM ESCAPE general clients": ("group-of-the-vo-alone", "voms-vo-alone"),
    "Read access granted to default groups": ("group-reads",),
    "Write access denied to default groups": ("group-of-the-vo-alone-does-not-write",),
    "Full access granted to /escape/data-manager group": (
        "group-reads",
        "group-writes",
        "group-removes",
        "group-makes-directories",
    ),
}
"""indigo-iam/escape-auth-tests, its 19 cases."""

SUITES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "indigo-iam/wlcg-jwt-compliance-tests": WLCG,
    "indigo-iam/escape-auth-tests": ESCAPE,
}
"""By the name of the repository."""
