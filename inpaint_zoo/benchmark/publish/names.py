"""Names of metrics and folders, made from the labels of a suite, which may contain any character."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable

__all__ = ["legal_names"]


def legal_names(labels: Iterable[str], prefix: str = "", reserved: Collection[str] = ()) -> dict[str, str]:
    """Return a name for each label, which consists of letters, digits and underscores.

    Every sequence of other characters and underscores becomes one underscore, and none stays at the ends. Labels that
    have the same name then (upper and lower case are the same), and labels without letters and digits, get the first
    six digits of their hash as well, except a label that already is a name. The names do not depend on the order of
    the labels.

    Args:
        labels: The labels; they are all different.
        prefix: Text before a name that starts with a digit or is reserved.
        reserved: Names with another meaning.

    Example:
        >>> legal_names(["lama_thick", "irregular_0.1-0.2", "a/b", "a b"])
        {'lama_thick': 'lama_thick', 'irregular_0.1-0.2': 'irregular_0_1_0_2', 'a/b': 'a_b_c14cdd', 'a b': 'a_b_c8687a'}
        >>> legal_names(["10k", "curves"], prefix="data_", reserved=["curves"])
        {'10k': 'data_10k', 'curves': 'data_curves'}
    """
    plain = {label: re.sub(r"[^A-Za-z0-9]+", "_", label).strip("_") for label in labels}
    plain = {
        label: f"{prefix}{name}" if name[:1].isdigit() or name in reserved else name for label, name in plain.items()
    }
    uses = Counter(name.lower() for name in plain.values())
    owners = Counter(name.lower() for label, name in plain.items() if label == name)
    names = {}
    for label, name in plain.items():
        alone = uses[name.lower()] == 1 or (label == name and owners[name.lower()] == 1)
        digits = hashlib.sha256(label.encode()).hexdigest()[:6]
        names[label] = name if name and alone else f"{name or prefix or 'x'}_{digits}".replace("__", "_")
    return names
