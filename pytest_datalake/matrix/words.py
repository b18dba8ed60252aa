"""Phrases that error messages share."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant; empty where none is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint to append to a message about an unknown word; empty where nothing is near."""
    meant = nearest(word, known)
    return f"; did you mean '{meant}'?" if meant else ""


def listed(words: Iterable[str]) -> str:
    """Words in order, with commas; "nothing" where there are none."""
    return ", ".join(words) or "nothing"
