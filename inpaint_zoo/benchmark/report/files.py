"""What the writers of HTML pages and CSV files share."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["csv_text", "environment", "resource"]


def environment(package: str) -> Environment:
    """Return an environment for the templates in the folder `templates` of a package; values are escaped."""
    return Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def resource(package: str, name: str) -> Markup:
    """Return a style sheet or script in the folder `templates` of a package, to be put into a page as it is."""
    return Markup(files(package).joinpath("templates", name).read_text(encoding="utf-8"))


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV with a header."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue()
