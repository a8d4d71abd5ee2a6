"""Starting and watching trainings from the page."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool

from ddpm.serve.own_api import Its
from ddpm.serve.training import Training, Trainings
from ddpm.serve.uploads import check_upload
from ddpm.system.errors import InputError

router = APIRouter(prefix="/api")


def trainings_of(server: Its) -> Trainings:
    """The trainings of the server.

    Raises:
        InputError: it may not start any.
    """
    if server.trainings is None:
        raise InputError("conflict", "this server does not start trainings; run it with --data FOLDER")
    return server.trainings


Its_trainings = Annotated[Trainings, Depends(trainings_of)]


def states_of(names: Iterable[str], server: Its) -> list[dict[str, Any]]:
    """The progress of trainings, without paths of this machine."""
    states = [trainings_of(server).state(name) for name in names]
    said = server.words.all_plain("\n".join(state["said"]) for state in states)
    return [state | {"said": lines.splitlines()} for state, lines in zip(states, said, strict=True)]


def state_of(name: str, server: Its) -> dict[str, Any]:
    """The progress of a training, without paths of this machine."""
    return states_of([name], server)[0]


@router.get("/trainings")
def list_trainings(trainings: Its_trainings, server: Its) -> dict[str, Any]:
    """The available data, and the trainings started from here."""
    states = states_of(trainings.names(), server)
    return {"sources": trainings.sources(), "uploads": trainings.uploads.names(), "trainings": states}


@router.post("/trainings", status_code=202)
def start_training(training: Training, trainings: Its_trainings, server: Its) -> dict[str, Any]:
    """Start a training."""
    trainings.start(training, server.catalog.folders())
    return state_of(training.name, server)


@router.get("/trainings/{name}")
def training(name: str, server: Its) -> dict[str, Any]:
    """The progress of a training."""
    return state_of(name, server)


@router.post("/trainings/{name}/stop")
def stop_training(name: str, trainings: Its_trainings, server: Its) -> dict[str, Any]:
    """Stop a training, with everything saved."""
    state = state_of(name, server)
    if state["state"] == "running":
        trainings.stop()
    return state


@router.post("/trainings/{name}/resume", status_code=202)
def resume_training(name: str, trainings: Its_trainings, server: Its) -> dict[str, Any]:
    """Resume a training that was stopped."""
    trainings.resume(name)
    return state_of(name, server)


@router.put("/uploads")
async def upload(name: str, request: Request, trainings: Its_trainings) -> dict[str, Any]:
    """Upload a .zip of images to train on, as the body."""
    with trainings.arriving(name) as draft:
        with draft.open("wb") as file:
            async for chunk in request.stream():
                await run_in_threadpool(file.write, chunk)
        await run_in_threadpool(check_upload, draft, name)
    return {"source": name}


@router.delete("/uploads/{name}", status_code=204)
def remove_upload(name: str, trainings: Its_trainings) -> None:
    """Remove an upload; a training that was stopped can then not be resumed."""
    trainings.remove_upload(name)
