"""The web application: routes, errors and the page."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ddpm import __version__
from ddpm.serve import openai_api, own_api, runs_api, training_api
from ddpm.serve.guard import Guard, answer
from ddpm.serve.metrics import metrics
from ddpm.serve.orders import Order
from ddpm.serve.own_api import Its
from ddpm.serve.queue import Full
from ddpm.serve.server import Server
from ddpm.system.errors import InputError
from ddpm.system.record import explain

PAGE = Path(__file__).parent / "page"
STATUS = {"unknown": 404, "missing": 404, "exists": 409, "conflict": 409, "busy": 409, "unwritable": 507}
"""The status of errors by their code; 422 for the others."""


def create(server: Server, hosts: frozenset[str] | None = None, domain: str | None = None) -> FastAPI:
    """The application of a server.

    Args:
        hosts, domain: see :class:`Guard`.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        server.worker.start()
        yield
        await run_in_threadpool(server.close)

    app = FastAPI(title="ddpm", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.server = server
    for api in (own_api, runs_api, training_api, openai_api):
        app.include_router(api.router)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the server works."""
        return {"status": "ok" if server.worker.is_alive() else "stopped"}

    @app.get("/metrics", response_class=PlainTextResponse)
    def measured(server: Its) -> Response:
        """Metrics for Prometheus."""
        return Response(metrics(server), media_type="text/plain; version=0.0.4")

    @app.exception_handler(InputError)
    async def refused(request: Request, error: InputError) -> Response:
        return answer(STATUS.get(error.code, 422), server.words.plain(str(error)), error.code)

    @app.exception_handler(Full)
    async def full(request: Request, error: Full) -> Response:
        return answer(429, "too many jobs wait already; try again later", "full")

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        said = first["msg"].removeprefix("Value error, ")
        return answer(422, f"{place}: {said}".removeprefix(": "), "invalid")

    @app.exception_handler(ValidationError)
    async def unfit(request: Request, error: ValidationError) -> Response:
        return answer(422, explain(error, Order), "invalid")

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> Response:
        return answer(error.status_code, str(error.detail))

    @app.exception_handler(json.JSONDecodeError)
    async def malformed(request: Request, error: json.JSONDecodeError) -> Response:
        return answer(422, f"the body is not JSON ({error})", "invalid")

    @app.exception_handler(ClientDisconnect)
    async def left(request: Request, error: ClientDisconnect) -> Response:
        return answer(400, "the body is incomplete")

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    app.add_middleware(Guard, token=server.token, hosts=hosts, domain=domain)
    return app
