"""Serve the page: which addresses may use it, how much they may send, and what browsers may load."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inpaint_zoo.demo.limits import Limits
from inpaint_zoo.demo.task import Model
from inpaint_zoo.demo.worker import Worker

__all__ = ["serving"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
VISITORS = 50  # visitors whose images and results are kept in memory
# Gradio's page has inline scripts and styles, and draws with blobs; nothing may come from another host
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self' data: blob:; "
    "frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class _Guard:
    """ASGI middleware: refuses bodies that are too large, and tells browsers to load nothing from other hosts."""

    def __init__(self, app: Any, limit: int) -> None:  # noqa: ANN401 - an ASGI application
        self._app, self._limit = app, limit

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._limit:
            await self._refuse(send)
            return
        received = 0

        async def counted() -> _Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:  # a body without a stated length
                return {"type": "http.disconnect"}
            return message

        async def guarded(message: _Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"content-security-policy", POLICY.encode()),
                    (b"referrer-policy", b"no-referrer"),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        await self._app(scope, counted, guarded)

    async def _refuse(self, send: _Send) -> None:
        text = f"The upload is larger than {self._limit // 10**6} MB.".encode()
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": text})


@contextmanager
def serving(
    models: Sequence[Model], masks: Sequence[str], device: str, limits: Limits, host: str, port: int | None
) -> Iterator[str]:
    """Serve the page in a thread, and yield its address. All files of visitors are deleted at the end.

    Args:
        models: The models that visitors can choose.
        masks: The mask generators that visitors can choose.
        device: Device of the models, as in `choose_device`.
        limits: Limits for visitors.
        host: Address to listen on. At a loopback address, only requests with such a host name are answered, so that no
            web page of another host can use this one (DNS rebinding).
        port: Port to listen on; None for the first free one from 7860 on.

    Raises:
        OSError: If the port is not free.
    """
    folder = Path(tempfile.mkdtemp(prefix="inpaint-zoo-demo-"))
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "cache")  # read when Gradio is imported
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

    import gradio as gr
    from PIL import Image
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from inpaint_zoo.demo.page import CSS, Page

    Image.MAX_IMAGE_PIXELS = limits.pixels  # Gradio decodes painted layers; twice this number is an error
    worker = Worker(device, limits.seconds)
    page = Page(models, masks, worker, limits, folder)
    hosts = list(LOOPBACK) if host in LOOPBACK else ["*"]
    try:
        page.blocks.queue(max_size=limits.queue + VISITORS, default_concurrency_limit=4)
        _, address, _ = page.blocks.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            inbrowser=False,
            show_error=False,
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            allowed_paths=[],
            max_file_size=limits.upload_mb * 10**6,
            max_threads=limits.queue + VISITORS,
            state_session_capacity=VISITORS,
            css=CSS,
            theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
            app_kwargs={
                "middleware": [
                    Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
                    Middleware(_Guard, limit=limits.upload_mb * 10**6),
                ],
                "docs_url": None,
                "redoc_url": None,
                "openapi_url": None,
            },
        )
        yield address
    finally:
        page.blocks.close(verbose=False)
        worker.stop()
        shutil.rmtree(folder, ignore_errors=True)
