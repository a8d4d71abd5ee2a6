"""Events from threads to listeners."""

import asyncio
import threading
from typing import Any

from ddpm.serve.events import WAITING, Events, Happened


def heard(events: Events, tell: Any) -> list[Happened]:
    """What a listener that is late hears of what a thread tells."""

    async def listen() -> list[Happened]:
        with events.listening("a") as listener:
            assert events.heard("a")
            thread = threading.Thread(target=tell)
            thread.start()
            await asyncio.to_thread(thread.join)
            await asyncio.sleep(0)
            return [listener.get_nowait() for _ in range(listener.qsize())]

    found = asyncio.run(listen())
    assert not events.heard("a")
    return found


def test_a_slow_listener_misses_previews_alone() -> None:
    events = Events()

    def tell() -> None:
        for k in range(100):
            events.tell("a", "preview", index=k)
            events.tell("a", "picture", index=k)
            events.tell("b", "picture", index=k)
        events.tell("a", "done")

    found = heard(events, tell)
    assert [event.data["index"] for event in found if event.kind == "picture"] == list(range(100))
    assert sum(event.kind == "preview" for event in found) == WAITING // 2
    assert found[-1].last


def test_listeners_hear_that_the_server_stops() -> None:
    events = Events()
    assert [event.kind for event in heard(events, events.stop)] == ["stopping"]


def test_a_closed_loop_harms_no_thread() -> None:
    events, entered = Events(), []

    async def leave() -> None:
        entered.append(events.listening("a"))
        entered[0].__enter__()

    asyncio.run(leave())
    events.tell("a", "done")
