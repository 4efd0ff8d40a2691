"""Names for characters that look like others in an editor, and number formatting with them."""

from __future__ import annotations

__all__ = ["DASH", "NBSP", "THIN_SPACE", "decimal", "thousands"]

DASH = "\u2013"
MINUS = "\u2212"
NBSP = "\u00a0"
THIN_SPACE = "\u2009"


def decimal(value: float, digits: int) -> str:
    """Format a number with fixed decimals and a typographic minus sign.

    Example:
        >>> decimal(-1.25, 1) == f"{MINUS}1.2"
        True
    """
    return f"{value:.{digits}f}".replace("-", MINUS)


def thousands(value: float, digits: int = 0) -> str:
    """Format as `decimal`, with thin spaces between groups of three digits."""
    return f"{value:,.{digits}f}".replace("-", MINUS).replace(",", THIN_SPACE)
