"""The image endpoints of OpenAI's API, for clients that speak it."""

import base64
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, UploadFile
from fastapi.responses import JSONResponse, StreamingResponse
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from ddpm.serve.guard import answer, client_of
from ddpm.serve.orders import Options, Order, Ticket
from ddpm.serve.own_api import Its
from ddpm.serve.server import Server, decoded
from ddpm.serve.worker import FAULT
from ddpm.system.errors import InputError
from ddpm.system.record import explain

router = APIRouter(prefix="/v1")
STATUS = {"failed": (422, "failed"), "cancelled": (409, "the job was cancelled")}
"""The status and the message for jobs that ended without pictures."""
SETTINGS = ("steps", "solver", "grid", "guidance", "negative_prompt")


class Generation(BaseModel):
    """OpenAI's request for images, and a few settings of ours; other fields of theirs, such as quality, are ignored."""

    model_config = ConfigDict(extra="ignore")
    model: str | None = None
    prompt: str | None = None
    n: int | None = 1
    size: str | None = None
    stream: bool | None = False
    partial_images: Annotated[int | None, Field(ge=0, le=3)] = 0
    user: str | None = None
    seed: int | None = None
    label: str | int | None = None
    steps: int | None = None
    solver: str | None = None
    grid: str | None = None
    guidance: float | None = None
    negative_prompt: str | None = None


@router.get("/models")
def models(server: Its) -> dict[str, Any]:
    """The runs."""
    return {"object": "list", "data": [_model(server, name) for name in server.catalog.folders()]}


@router.get("/models/{name}")
def model(name: str, server: Its) -> dict[str, Any]:
    """A run."""
    if name not in server.catalog.folders():
        raise InputError("unknown", f"the model {name!r} does not exist")
    return _model(server, name)


def _model(server: Server, name: str) -> dict[str, Any]:
    created = server.catalog.folders()[name].config_file.stat().st_mtime
    return {"id": name, "object": "model", "created": int(created), "owned_by": "ddpm"}


@router.post("/images/generations", response_model=None)
async def generations(asked: Generation, request: Request, server: Its) -> JSONResponse | StreamingResponse:
    """Draw images; a prompt is a label for runs with classes and without text."""
    order = _order(server, asked, "sample", Options())
    return await _answer(server, asked, order, request, [], None, "image_generation")


@router.post("/images/edits", response_model=None)
async def edits(
    request: Request,
    server: Its,
    image: Annotated[UploadFile | None, Form()] = None,
    mask: UploadFile | None = None,
    prompt: Annotated[str | None, Form()] = None,
    model: Annotated[str | None, Form()] = None,
    n: Annotated[int, Form()] = 1,
    seed: Annotated[int | None, Form()] = None,
    strength: Annotated[float, Form()] = 0.6,
    size: Annotated[str | None, Form()] = None,
    stream: Annotated[bool, Form()] = False,
    partial_images: Annotated[int, Form(ge=0, le=3)] = 0,
    label: Annotated[str | None, Form()] = None,
    steps: Annotated[int | None, Form()] = None,
    solver: Annotated[str | None, Form()] = None,
    grid: Annotated[str | None, Form()] = None,
    guidance: Annotated[float | None, Form()] = None,
    negative_prompt: Annotated[str | None, Form()] = None,
) -> JSONResponse | StreamingResponse:
    """Fill the transparent part of a mask; without a mask, change the picture."""
    if image is None:
        raise InputError("missing", "image is missing; send one picture")
    picture = await run_in_threadpool(decoded, await image.read(), "the image")
    hole = None if mask is None else await run_in_threadpool(decoded, await mask.read(), "the mask")
    asked = Generation(
        model=model,
        prompt=prompt,
        n=n,
        size=size,
        stream=stream,
        partial_images=partial_images,
        seed=seed,
        label=label,
        steps=steps,
        solver=solver,
        grid=grid,
        guidance=guidance,
        negative_prompt=negative_prompt,
    )
    if hole is None:
        order = _order(server, asked, "edit", Options(strength=strength, fit="crop"))
        return await _answer(server, asked, order, request, [picture], None, "image_edit")
    order = _order(server, asked, "inpaint", Options())
    return await _answer(server, asked, order, request, [picture], _white(hole), "image_edit")


def _white(mask: Image.Image) -> Image.Image:
    """Convert OpenAI's mask, whose transparent pixels are filled, to ours, whose white ones are."""
    if mask.mode not in ("LA", "RGBA"):
        return mask
    return mask.getchannel("A").point(lambda alpha: 255 if alpha < 128 else 0)


def _order(server: Server, asked: Generation, task: Literal["sample", "inpaint", "edit"], options: Options) -> Order:
    names = list(server.catalog.folders())
    settings = {name: value for name in SETTINGS if (value := getattr(asked, name)) is not None}
    if asked.size not in (None, "auto"):
        found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", asked.size or "")
        if found is None:
            raise InputError("invalid", f"size {asked.size!r} is not WIDTHxHEIGHT")
        settings["size"] = (int(found[2]), int(found[1]))
    try:
        return Order(
            run=asked.model or (names[0] if names else ""),
            task=task,
            n=1 if asked.n is None else asked.n,
            seed=asked.seed,
            label=asked.label,
            prompt=asked.prompt,
            settings=settings,
            options=options,
        )
    except ValidationError as error:
        raise InputError("invalid", explain(error, Order)) from error


async def _answer(
    server: Server,
    asked: Generation,
    order: Order,
    request: Request,
    given: list[Image.Image],
    mask: Image.Image | None,
    kind: str,
) -> JSONResponse | StreamingResponse:
    ticket = await run_in_threadpool(server.put, order, client_of(request), given, mask)
    if asked.stream:
        return StreamingResponse(
            _stream(server, ticket, kind, asked.partial_images or 0), media_type="text/event-stream"
        )
    async for _ in server.follow(ticket.id):
        if await request.is_disconnected():
            await run_in_threadpool(server.queue.cancel, ticket.id)
    ended = server.queue.get(ticket.id) or ticket
    if ended.state != "done":
        code, error = STATUS.get(ended.state, (503, "the server is stopping; the job resumes when it starts again"))
        return answer(500 if ended.error == FAULT else code, ended.error or error, ended.state)
    data = [{"b64_json": await run_in_threadpool(_base64, server, name)} for name in ended.pictures]
    return JSONResponse({"created": int(time.time()), "data": data, "seed": ticket.seed})


async def _stream(server: Server, ticket: Ticket, kind: str, partial: int) -> AsyncIterator[str]:
    """The events of OpenAI's streams: a few partial images, then each finished one."""
    shown: dict[int, int] = {}
    try:
        async for event in server.follow(ticket.id):
            if event is None:
                yield ": still here\n\n"
            elif event.kind == "preview":
                k = event.data["index"]
                due = shown.get(k, 0)
                # evenly over the steps
                if due < partial and event.data["step"] * (partial + 1) >= (due + 1) * event.data["of"]:
                    shown[k] = due + 1
                    picture = event.data["image"].partition(",")[2]
                    yield _event(f"{kind}.partial_image", b64_json=picture, partial_image_index=due)
            elif event.kind == "picture":
                yield _event(f"{kind}.completed", b64_json=await run_in_threadpool(_base64, server, event.data["name"]))
            elif event.kind in STATUS:
                yield _event("error", message=event.data["error"] or STATUS[event.kind][1])
    except BaseException:  # the client left
        server.queue.cancel(ticket.id)
        raise


def _event(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, 'created_at': int(time.time()), **data})}\n\n"


def _base64(server: Server, name: str) -> str:
    return base64.b64encode((server.store.pictures / name).read_bytes()).decode()
