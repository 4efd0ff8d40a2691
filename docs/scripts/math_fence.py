"""Formulas of the documentation: a fence `math` of LaTeX becomes MathML, which browsers show without scripts."""

from __future__ import annotations

from latex2mathml.converter import convert

__all__ = ["math_fence"]


def math_fence(source: str, language: str, css_class: str, options: dict[str, object], md: object, **_: object) -> str:
    """Return the HTML of one formula; the signature is that of SuperFences' formatters."""
    return f'<div class="{css_class}">{convert(source.strip(), display="block")}</div>'
