"""The page, made with Gradio: its controls, and what happens when they are used."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from inpaint_zoo.data.sample import SAMPLE_SPLITS
from inpaint_zoo.demo.limits import Limits
from inpaint_zoo.demo.session import (
    MASKED,
    ORIGINAL,
    Session,
    generated_hole,
    open_image,
    open_sample,
    uploaded_hole,
)
from inpaint_zoo.demo.task import STRATEGIES, Model, Request
from inpaint_zoo.demo.worker import Worker
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.drawing import HOLE
from inpaint_zoo.io.images import DecodedImage
from inpaint_zoo.io.names import plain_name

__all__ = ["Page"]

SAMPLES = tuple(SAMPLE_SPLITS["unseen"])
THUMBNAIL = 96  # pixels
PREFERRED = ("telea", "glama_tiny")
HEAD = ["model", "time (s)", "memory (MiB)", "strategy"]
FIRST_MASK = "lama_thick_256"
HOUR = 3600  # seconds after which the work of a visitor who has left is deleted
CSS = (
    ".gradio-container {max-width: 1200px !important; margin: auto; overflow-x: hidden} "
    "#samples .grid-container {grid-template-columns: repeat(auto-fill, minmax(80px, 1fr)) !important} "
    "#editor {overflow: hidden} footer {display: none !important}"
)


def _told(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Show errors of the package as a message of the page; other errors appear there without details."""

    @wraps(handler)
    def told(*args: Any) -> Any:  # noqa: ANN401 - the outputs of a handler
        try:
            return handler(*args)
        except ZooError as error:
            raise _message(error) from None

    return told


def _message(error: ZooError) -> gr.Error:
    # Gradio renders messages as HTML
    return gr.Error(escape(str(error)), duration=None, print_exception=False)


class Page:
    """The page.

    Attributes:
        blocks: The Gradio application.

    Args:
        models: The models that visitors can choose.
        masks: The mask generators that visitors can choose.
        worker: Computes the results.
        limits: Limits for visitors.
        folder: Folder for the files of downloads.
    """

    def __init__(
        self, models: Sequence[Model], masks: Sequence[str], worker: Worker, limits: Limits, folder: Path
    ) -> None:
        self._models = {model.name: model for model in models}
        self._masks, self._worker, self._limits, self._folder = masks, worker, limits, folder
        self._places = threading.Semaphore(limits.queue + 1)  # for the jobs that wait and the one that is computed
        with gr.Blocks(title="inpaint-zoo", analytics_enabled=False, delete_cache=(HOUR, HOUR)) as self.blocks:
            self._build()

    def _build(self) -> None:
        session = gr.State(Session(), time_to_live=HOUR, delete_callback=_forget)
        gr.Markdown("# inpaint-zoo\nChoose an image, mark the part to fill, and compare what the models put there.")
        with gr.Row():
            with gr.Column(min_width=300):
                gr.Markdown("## 1. Image\nUpload an image, or choose one of the sample images.")
                file = gr.File(label=self._upload_label(), file_count="single", type="filepath", elem_id="upload")
                samples = gr.Gallery(
                    [(_thumbnail(name), name) for name in SAMPLES],
                    label="or choose a sample image (from scikit-image)",
                    columns=5,
                    height=None,
                    format="png",
                    allow_preview=False,
                    object_fit="cover",
                    buttons=[],
                    interactive=False,
                    elem_id="samples",
                )
                gr.Markdown("## 2. Mask\nPaint over the part to fill. A mask that is made or uploaded replaces it.")
                editor = gr.ImageEditor(
                    label="image and mask",
                    type="numpy",
                    image_mode="RGBA",
                    format="png",
                    sources=(),
                    transforms=(),
                    layers=False,
                    canvas_size=(280, 280),  # until an image is there; the default is wider than a phone
                    brush=gr.Brush(colors=["#{:02x}{:02x}{:02x}".format(*HOLE)], color_mode="fixed"),
                    eraser=gr.Eraser(),
                    buttons=[],
                    elem_id="editor",
                )
                clear = gr.Button("Remove the mask", size="sm")
                with gr.Accordion("Make a mask", open=False):
                    generator = gr.Dropdown(
                        list(self._masks), value=FIRST_MASK, label="mask generator", filterable=True
                    )
                    seed = gr.Number(0, label="seed", precision=0, minimum=0)
                    make = gr.Button("Make the mask")
                with gr.Accordion("Upload a mask", open=False):
                    invert = gr.Checkbox(label="black is hole (otherwise white is hole)")
                    mask_file = gr.File(label="mask file of the image's size", type="filepath", elem_id="mask")
            with gr.Column(min_width=300):
                gr.Markdown("## 3. Models")
                chosen = gr.CheckboxGroup(list(self._models), value=self._preferred(), label="models")
                strategy = gr.Dropdown(
                    list(STRATEGIES),
                    value=STRATEGIES[0],
                    label="strategy for large images",
                    info="full: in one piece; crop: around each hole; tile: overlapping tiles; coarse_to_fine: from a "
                    "small size to the full one; auto chooses",
                    filterable=False,
                    elem_id="strategy",
                )
                inside = gr.Checkbox(label="also show stages, passes, branches and attention, where a model has them")
                run = gr.Button("Fill the hole", variant="primary", elem_id="run")
                status = gr.Markdown(elem_id="status")
                table = gr.Dataframe(headers=HEAD, label="time and memory", interactive=False, visible=False, wrap=True)
                with gr.Row():
                    left = gr.Dropdown([], label="left", interactive=True, visible=False)
                    right = gr.Dropdown([], label="right", interactive=True, visible=False)
                slider = gr.ImageSlider(label="comparison", format="png", visible=False, buttons=["fullscreen"])
                save = gr.DownloadButton("Download the right image as PNG", visible=False, elem_id="save")
                shown = gr.Gallery(label="results", format="png", columns=2, visible=False, buttons=["fullscreen"])
                drawn = gr.Gallery(
                    label="what the models compute on their way",
                    format="png",
                    columns=2,
                    visible=False,
                    buttons=["fullscreen"],
                    elem_id="inside",
                )
        start = [session, editor, status, table, left, right, slider, save, shown, drawn]
        results = [session, status, table, left, right, slider, save, shown, drawn]
        private: dict[str, Any] = {"api_visibility": "private"}
        file.upload(self._upload, [file, session], start, **private)
        samples.select(self._sample, session, start, **private)
        make.click(self._make, [generator, seed, session], [session, editor], **private)
        mask_file.upload(self._upload_mask, [mask_file, invert, session], [session, editor], **private)
        clear.click(self._clear, session, [session, editor], **private)
        run.click(self._run, [editor, chosen, strategy, inside, session], results, concurrency_limit=None, **private)
        for choice in (left, right):
            choice.input(self._compare, [left, right, session], [slider, save], **private)

    def _upload_label(self) -> str:
        return f"upload an image (at most {self._limits.upload_mb} MB and {self._limits.pixels / 1e6:g} million pixels)"

    def _preferred(self) -> list[str]:
        preferred = [name for name in PREFERRED if name in self._models]
        return preferred or list(self._models)[:2]

    @_told
    def _upload(self, path: str | None, session: Session) -> tuple[Any, ...]:
        if path is None:
            raise gr.Error("The file was not received. Upload it again.", print_exception=False)
        image, name = open_image(path, self._limits.pixels)
        for note in image.notes:
            gr.Info(escape(note))
        return self._opened(image, name, session)

    @_told
    def _sample(self, event: gr.SelectData, session: Session) -> tuple[Any, ...]:
        name = SAMPLES[int(event.index)]
        return self._opened(open_sample(name), name, session)

    def _opened(self, image: DecodedImage, name: str, session: Session) -> tuple[Any, ...]:
        """Return the values of all outputs for a new image: the editor with it, and no results."""
        _forget(session)
        H, W = image.size
        hidden = [gr.update(visible=False) for _ in range(7)]
        session = Session(image, name)
        return session, _canvas(session), f"{escape(plain_name(name))}: {W} x {H} pixels", *hidden

    @_told
    def _make(self, generator: str, seed: float | None, session: Session) -> tuple[Session, dict[str, Any]]:
        session.made = generated_hole(generator, session.opened().size, int(seed or 0))
        return session, _canvas(session)

    @_told
    def _upload_mask(self, path: str | None, invert: bool, session: Session) -> tuple[Session, dict[str, Any]]:
        image = session.opened()
        if path is None:
            raise gr.Error("The file was not received. Upload it again.", print_exception=False)
        hole, doubts = uploaded_hole(path, image.size, invert, self._limits.pixels)
        for doubt in doubts:
            gr.Warning(escape(doubt), duration=None)
        session.made = hole
        return session, _canvas(session)

    @_told
    def _clear(self, session: Session) -> tuple[Session, dict[str, Any]]:
        session.opened()
        session.made = None
        return session, _canvas(session)

    def _run(
        self, editor: dict[str, Any] | None, chosen: list[str], strategy: str, inside: bool, session: Session
    ) -> Iterator[tuple[Any, ...]]:
        """Run the chosen models one after the other, and show each result when it is there.

        Gradio's own limit of waiting jobs shows no text, so that this method counts them.
        """
        if not self._places.acquire(blocking=False):
            raise _message(
                ZooError(f"The queue is full: {self._limits.queue} jobs are waiting. Try again in a minute.")
            )
        try:
            yield from self._fill(editor, chosen, strategy, inside, session)
        finally:
            self._places.release()

    def _fill(
        self, editor: dict[str, Any] | None, chosen: list[str], strategy: str, inside: bool, session: Session
    ) -> Iterator[tuple[Any, ...]]:
        try:
            image = session.opened()
            if not chosen:
                raise ZooError("No model is chosen. Choose at least one.")
            hole = session.marked(editor)
        except ZooError as error:
            raise _message(error) from None
        _forget(session)
        session = Session(image, session.name, hole, Path(tempfile.mkdtemp(dir=self._folder)), session.made)
        session.write_inputs()
        problems: dict[str, str] = {}
        for number, name in enumerate(chosen, start=1):
            yield self._results(session, problems, f"{number} of {len(chosen)}: {name} ...")
            try:
                filled = self._worker(Request(self._models[name], image.rgb, hole, inside, strategy))
            except ZooError as error:
                problems[name] = str(error)
                continue
            session.results[name] = filled
            session.write(name, filled.image)
        yield self._results(session, problems, f"done: {len(session.results)} of {len(chosen)} models", last=True)

    def _results(self, session: Session, problems: dict[str, str], status: str, last: bool = False) -> tuple[Any, ...]:
        """Return the values of all outputs. What models compute on their way is sent once, with the ``last`` ones."""
        rows: list[list[Any]] = []
        for name, filled in session.results.items():
            memory = None if filled.memory_mib is None else round(filled.memory_mib)
            rows.append([name, round(filled.seconds, 3), memory, filled.strategy])
        status += "".join(f"\n\n{escape(problem)}" for problem in problems.values())
        table = gr.update(value=rows, visible=bool(rows))
        names = list(session.results)
        if not names:
            return session, status, table, *(gr.update(visible=False) for _ in range(6))
        choices = [ORIGINAL, MASKED, *names]
        left, right = (MASKED if len(names) == 1 else names[-2]), names[-1]
        drawn = [(each.image, f"{name}: {each.caption}") for name in names for each in session.results[name].inside]
        return (
            session,
            status,
            table,
            gr.update(choices=choices, value=left, visible=True),
            gr.update(choices=choices, value=right, visible=True),
            *self._compare(left, right, session),
            gr.update(value=[(str(session.file(name)), name) for name in names], visible=True),
            gr.update(value=drawn, visible=bool(drawn)) if last else gr.update(),
        )

    def _compare(self, left: str, right: str, session: Session) -> tuple[Any, Any]:
        known = [ORIGINAL, MASKED, *session.results]
        if session.hole is None or left not in known or right not in known:
            return gr.update(visible=False), gr.update(visible=False)
        pair = gr.update(
            value=(str(session.file(left)), str(session.file(right))), label=f"{left} | {right}", visible=True
        )
        if right not in session.results:
            return pair, gr.update(visible=False)
        return pair, gr.update(label=f"Download {right} as PNG", value=str(session.file(right)), visible=True)


def _canvas(session: Session) -> dict[str, Any]:
    """Return the value of the editor, without anything painted."""
    return {"background": session.background(), "layers": [], "composite": None}


def _thumbnail(name: str) -> Image.Image:
    thumbnail = Image.fromarray(open_sample(name).rgb)
    thumbnail.thumbnail((2 * THUMBNAIL, THUMBNAIL))
    return thumbnail


def _forget(session: Session) -> None:
    """Delete the files of a visitor."""
    if session.folder is not None:
        shutil.rmtree(session.folder, ignore_errors=True)
