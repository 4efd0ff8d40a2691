"""Checksum of a file of answers, which the page computes in the same way."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["checksum"]


def checksum(study: str, rater: str, plan: int, answers: Iterable[tuple[int, Iterable[str]]]) -> str:
    """Return the 32-bit FNV-1a hash of the answers: it detects accidental changes, but does not prevent forgery.

    Example:
        >>> checksum("study", "rater", 0, [(0, ["01", "02"])])
        '29fd76d1'
    """
    lines = [study, rater, str(plan), *(f"{question}:{','.join(files)}" for question, files in answers)]
    value = 0x811C9DC5
    for byte in "\n".join(lines).encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f"{value:08x}"
