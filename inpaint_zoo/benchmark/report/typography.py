"""Names for characters that look like others in an editor, and number formatting with them."""

from __future__ import annotations

__all__ = ["DASH", "MINUS", "NBSP", "THIN_SPACE", "decimal", "thousands", "with_spread"]

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


def with_spread(value: float, spread: float | None, digits: int) -> str:
    """Format a number as `decimal`, followed by its standard deviation if there is one.

    Example:
        >>> with_spread(24.31, 0.1234, 2), with_spread(24.31, None, 1)
        ('24.31 ± 0.12', '24.3')
    """
    return decimal(value, digits) + ("" if spread is None else f" ± {decimal(spread, digits)}")


def thousands(value: float, digits: int = 0) -> str:
    """Format as `decimal`, with thin spaces between groups of three digits."""
    return f"{value:,.{digits}f}".replace("-", MINUS).replace(",", THIN_SPACE)
