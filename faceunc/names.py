"""Names of files as they can be shown: names come from strangers, and may hold any byte but 0 and "/"."""

from __future__ import annotations


def readable(name: str) -> str:
    """Valid Unicode: bytes that are none become the replacement character."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def printable(name: str) -> str:
    """For a terminal: readable, and "?" for control characters, which could move its cursor or change its colours."""
    return "".join(letter if letter.isprintable() else "?" for letter in readable(name))


def drawable(name: str) -> str:
    """For a figure: printable, and no mathematics, which matplotlib reads between dollars."""
    return printable(name).replace("$", r"\$")
