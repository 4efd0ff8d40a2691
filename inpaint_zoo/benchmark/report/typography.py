"""Characters that look like others in an editor, by name, and numbers set with them."""

from __future__ import annotations

__all__ = ["DASH", "NBSP", "THIN_SPACE", "decimal", "thousands"]

DASH = "\u2013"
MINUS = "\u2212"
NBSP = "\u00a0"
THIN_SPACE = "\u2009"


def decimal(value: float, digits: int) -> str:
    """Fixed decimals with a real minus sign.

    Example:
        >>> decimal(-1.25, 1) == f"{MINUS}1.2"
        True
    """
    return f"{value:.{digits}f}".replace("-", MINUS)


def thousands(value: float, digits: int = 0) -> str:
    """As `decimal`, with thin spaces between groups of three digits."""
    return f"{value:,.{digits}f}".replace("-", MINUS).replace(",", THIN_SPACE)
