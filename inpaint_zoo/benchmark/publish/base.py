"""The interface of the places that a run is published to."""

from __future__ import annotations

from abc import ABC, abstractmethod

from inpaint_zoo.benchmark.publish.content import Content
from inpaint_zoo.benchmark.report.run_folder import Run

__all__ = ["Publisher"]


class Publisher(ABC):
    """Base class of publishers. `check` is called before anything is computed, and `publish` with the finished run.

    Attributes:
        title: Name for messages.
        options: Command-line options that select it, for messages.
    """

    title: str
    options: str

    @abstractmethod
    def check(self) -> None:
        """Check that `publish` will be able to work.

        Raises:
            ZooError: If it will not. The message says what to do.
        """

    @abstractmethod
    def publish(self, run: Run, content: Content) -> list[str]:
        """Publish a run. Publishing it again replaces what was published before.

        Args:
            run: The run.
            content: Its content, from `read_content`.

        Returns:
            Lines for the user: what was published, and where it is.
        """
