"""What is answered instead of doing as it was asked."""

from __future__ import annotations


class OAuthError(Exception):
    """An error response of the OAuth endpoints (RFC 6749, 5.2; RFC 6750, 3.1).

    Attributes:
        whom: username or client that was refused, for the log; empty: nobody known.
    """

    def __init__(self, error: str, description: str = "", status: int = 400) -> None:
        super().__init__(description or error)
        self.error = error
        self.description = description
        self.status = status
        self.whom = ""


class ApiError(Exception):
    """An error answer of the other interfaces: status and a message for people."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
