"""What the REST interface answers instead of doing as it was asked."""

from __future__ import annotations

NEED_DELEGATION = 419

PHRASES = {
    207: "Multi-Status", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 409: "Conflict", 413: "Content Too Large", 415: "Unsupported Media Type",
    NEED_DELEGATION: "Authentication Timeout", 424: "Failed Dependency", 500: "Internal Server Error",
    501: "Not Implemented", 503: "Service Unavailable",
}  # fmt: skip


class Refusal(Exception):  # noqa: N818  # it is an answer, and no fault of ours
    """An error answer: status and a message for people."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def body(self) -> dict[str, str]:
        """As JSON."""
        return {"status": f"{self.status} {PHRASES.get(self.status, 'Error')}", "message": self.message}
