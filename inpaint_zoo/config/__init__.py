"""Reading configurations: YAML with line numbers, and one set of checks for their values.

Masks, augmentations, datasets and suites use this package, so the same mistake gives the same message everywhere.
"""

from inpaint_zoo.config.document import Document, Keys, Table, read_document
from inpaint_zoo.config.errors import ConfigError, UnknownKeyError, inside, unknown
from inpaint_zoo.config.fields import (
    arg_names,
    args_dict,
    custom,
    flag,
    integer,
    integers_of,
    interval_of,
    option,
    parse_args,
    real,
    reals_of,
    required_names,
    text,
)
from inpaint_zoo.config.values import (
    Parser,
    boolean,
    checked,
    increasing,
    interval,
    list_of,
    listing,
    mapping,
    number,
    one_of,
    or_null,
    string,
    whole,
)

__all__ = [
    "ConfigError",
    "Document",
    "Keys",
    "Parser",
    "Table",
    "UnknownKeyError",
    "arg_names",
    "args_dict",
    "boolean",
    "checked",
    "custom",
    "flag",
    "increasing",
    "inside",
    "integer",
    "integers_of",
    "interval",
    "interval_of",
    "list_of",
    "listing",
    "mapping",
    "number",
    "one_of",
    "option",
    "or_null",
    "parse_args",
    "read_document",
    "real",
    "reals_of",
    "required_names",
    "string",
    "text",
    "unknown",
    "whole",
]
