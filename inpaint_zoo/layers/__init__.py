"""Modules that two or more families use."""

__all__: list[str] = []
