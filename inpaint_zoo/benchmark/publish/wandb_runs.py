"""Publish a run to Weights & Biases: one W&B run for each method.

`wandb.json` in the run folder stores the identifiers of the W&B runs, so that a benchmark that is resumed resumes them,
too. It also stores a hash of what was published: a method whose content is unchanged is left alone.
"""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from inpaint_zoo.benchmark.publish.base import Publisher
from inpaint_zoo.benchmark.publish.content import IMAGES, RESULT_COLUMNS, RESULTS, Content, Record
from inpaint_zoo.benchmark.report.notes import count
from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.store import read_json
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import sha256_json, write_json
from inpaint_zoo.io.locks import lock_folder

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["STATE", "WandbPublisher"]

STATE = "wandb.json"
PANELS = ("ground_truth", "masked", "result", "difference")
DATA_DIR = "WANDB_DATA_DIR"
LONGEST_TAG = 64


class WandbPublisher(Publisher):
    """Publish to W&B.

    Args:
        project: Name of the W&B project.
        entity: User or team; None for the default of the account.
        group: Group of the W&B runs; None for the name of the suite.
    """

    title = "W&B"

    def __init__(self, project: str, entity: str | None = None, group: str | None = None) -> None:
        self.project, self.entity, self.group = project, entity, group
        given = {"--wandb": project, "--wandb-entity": entity, "--wandb-group": group}
        self.options = " ".join(f"{option} {text}" for option, text in given.items() if text is not None)
        self.offline = False

    def check(self) -> None:
        """Check that wandb is installed and accepts the names, and that an account can be used unless it is offline.

        Raises:
            ZooError: If one of this is not the case.
        """
        wandb = _wandb()
        if not self.project.strip():  # W&B would publish to a project called "uncategorized"
            raise ZooError("--wandb needs the name of a W&B project, got an empty text.")
        try:
            wandb.Settings(project=self.project, entity=self.entity, run_group=self.group)
        except (wandb.errors.Error, ValueError) as error:
            raise ZooError(f"{self.options}: W&B refuses a name: {error}.") from error
        try:
            mode = wandb.setup().settings.mode
            if mode == "disabled":
                raise ZooError(
                    f"{self.options}: W&B is switched off by WANDB_MODE=disabled or `wandb disabled`, so nothing would "
                    "be published. Leave out --wandb, or set WANDB_MODE to online or offline."
                )
            self.offline = mode in ("offline", "dryrun")
            if not self.offline and not wandb.login(force=True, verify=True):
                raise ZooError(f"{self.options}: not logged in to W&B. {_WAY_OUT}")
        except ZooError:
            raise
        except wandb.errors.Error as error:
            raise ZooError(f"{self.options}: W&B cannot be used: {error} {_WAY_OUT}") from error
        finally:
            wandb.teardown()  # its service process would stay during the whole benchmark

    def publish(self, run: Run, content: Content) -> list[str]:
        """Publish the methods whose content has changed since they were published last."""
        wandb = _wandb()
        group = self.group or content.suite
        changed, places = [], []
        try:
            with lock_folder(run.folder, "publish"), _data_in(run):
                state = read_json(run.folder / STATE) or {}
                known = state.setdefault("/".join(filter(None, (self.entity, self.project))), {})
                for record in content.records:
                    digest = sha256_json([record.digest, group])
                    entry = known.setdefault(record.label, {"id": uuid.uuid4().hex[:12]})
                    if entry.get("digest") == digest and (entry["online"] or self.offline):
                        continue
                    write_json(run.folder / STATE, state)  # before the W&B run exists, so that it never exists twice
                    places.append(self._publish(wandb, run, content, record, group, entry))
                    changed.append(record.label)
                    entry |= {"digest": digest, "online": not self.offline, "names": _names(record)}
                    write_json(run.folder / STATE, state)
        finally:
            wandb.teardown()
        return self._lines(run, content, group, changed, places)

    def _publish(
        self, wandb: ModuleType, run: Run, content: Content, record: Record, group: str, entry: Mapping[str, Any]
    ) -> str | None:
        """Publish one method and return the address of its W&B run; None if it is offline."""
        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,  # the code of each cell is in the configuration; the current directory says nothing
            x_disable_stats=True,  # of this process, which computes nothing
            x_disable_meta=True,
            x_save_requirements=False,
        )
        active = wandb.init(
            project=self.project,
            entity=self.entity,
            group=group,
            job_type="benchmark",
            id=entry["id"],
            resume="allow",
            name=f"{record.label} (rehearsal)" if run.stamp else record.label,
            tags=list(dict.fromkeys([*record.tags, content.suite[:LONGEST_TAG]])),
            notes="\n".join(record.notes),
            config=record.config,
            dir=str(run.folder),
            mode="offline" if self.offline else "online",
            save_code=False,
            settings=settings,
        )
        complete = False
        try:
            active.log(dict(_tables(wandb, content, record)))
            active.summary.update(record.numbers)
            for name in set(entry.get("names", ())) - set(_names(record)):
                del active.summary[name]
            complete = True
        finally:
            active.finish(exit_code=0 if complete else 1)
        return None if self.offline else str(active.url)

    def _lines(
        self, run: Run, content: Content, group: str, changed: Sequence[str], places: Sequence[str | None]
    ) -> list[str]:
        same = len(content.records) - len(changed)
        counts = f"{count(len(changed), 'method')} published{f', {same} unchanged' if same else ''}"
        lines = [f"W&B: project {self.project}, group {group}: {counts}"]
        if self.offline and changed:
            lines.append(f"W&B is offline; upload with: wandb sync {run.folder / 'wandb'}/offline-run-*")
        return lines + [f"{label}: {place}" for label, place in zip(changed, places, strict=True) if place]


_WAY_OUT = "Log in with `wandb login`, or set WANDB_MODE=offline, which needs no account and no network."


def _wandb() -> ModuleType:
    try:
        import wandb
    except ImportError as error:
        raise ZooError(
            f"--wandb needs the package wandb, which cannot be imported ({error}): pip install --upgrade wandb."
        ) from error
    return wandb


def _names(record: Record) -> list[str]:
    """Return the names in the summary of a W&B run that depend on the method; W&B stores a plot as a table."""
    return [*record.numbers, *(f"{curve.name}_table" for curve in record.curves)]


@contextmanager
def _data_in(run: Run) -> Iterator[None]:
    """Let W&B keep the images of tables in the run folder until they are uploaded, instead of the home directory."""
    if DATA_DIR in os.environ:
        yield
        return
    os.environ[DATA_DIR] = str(run.folder.absolute() / "wandb" / "data")
    try:
        yield
    finally:
        del os.environ[DATA_DIR]


def _tables(wandb: ModuleType, content: Content, record: Record) -> Iterator[tuple[str, Any]]:
    """Yield name and W&B object of the tables and line plots."""
    if record.results:
        yield RESULTS, wandb.Table(columns=list(RESULT_COLUMNS), data=[list(row) for row in record.results])
    for curve in record.curves:
        table = wandb.Table(columns=[curve.x, curve.y], data=[list(point) for point in curve.points])
        yield curve.name, wandb.plot.line(table, curve.x, curve.y, title=curve.title)
    if not record.images:
        return
    columns = ["dataset", "mask", "image", "hole_ratio", *PANELS, *content.image_metrics]
    table = wandb.Table(columns=columns)
    for row in record.images:
        panels = row.read()
        pixels = [wandb.Image(getattr(panels, name)) for name in PANELS]
        scores = [row.scores.get(name, math.nan) for name in content.image_metrics]
        finite = [score if math.isfinite(score) else None for score in scores]
        table.add_data(row.dataset, row.mask, row.image, panels.hole_ratio, *pixels, *finite)
    yield IMAGES, table
