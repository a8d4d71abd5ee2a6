"""The queue: bounded, in order, cancellable, and as it was after a restart."""

import errno
import threading
from pathlib import Path

import pytest

from ddpm.serve import queue as queues
from ddpm.serve.events import Events
from ddpm.serve.orders import Order, Ticket
from ddpm.serve.queue import Full, Queue
from ddpm.serve.store import Store
from ddpm.system import files
from refusal import refuses
from serve.conftest import photo


def ticket(client: str = "someone", n: int = 1) -> Ticket:
    return Ticket.of(Order(run="shapes", n=n), client)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "studio")


def restarted(store: Store) -> Queue:
    store.close()
    return Queue(Store(store.folder), Events())


def test_in_order_within_limits(store: Store) -> None:
    queue = Queue(store, Events(), most=3, each=2)
    mine, other = [ticket(), ticket()], ticket("another")
    for one in mine:
        queue.put(one)
    with pytest.raises(Full):
        queue.put(ticket())
    queue.put(other)
    with pytest.raises(Full):
        queue.put(ticket("a third"))
    assert [queue.position(one.id) for one in (*mine, other)] == [1, 3, 2]  # the clients take turns
    assert queue.remaining(other.id) is None  # no picture was timed
    queue.timed(6.0, 3)
    first = queue.take()
    assert first is not None
    assert (first.id, first.state, queue.position(first.id)) == (mine[0].id, "running", 0)
    assert queue.remaining(mine[1].id) == 6.0  # three pictures, the running one among them
    queue.put(ticket())  # one runs, so there is room
    assert [one.id for one in queue.of_client("another")] == [other.id]


def test_clients_take_turns(store: Store) -> None:
    """One that asks for much before others does not keep them waiting, nor does it starve."""
    queue = Queue(store, Events())
    for client, number, n in (("greedy", 4, 8), ("modest", 4, 1), ("late", 1, 2)):
        for _ in range(number):
            queue.put(ticket(client, n))
    cancelled = queue.of_client("greedy")[0]
    queue.cancel(cancelled.id)
    served = [one.client for _ in range(queue.waiting) if (one := queue.take())]
    assert served == ["greedy", "modest", "late", "modest", "modest", "modest", "greedy", "greedy"]
    queue.put(ticket("new"))
    queue.put(ticket("greedy"))
    served = [one.client for _ in range(2) if (one := queue.take())]
    assert served == ["new", "greedy"]


def test_tickets_after_a_cancelled_one_move_up(store: Store) -> None:
    queue = Queue(store, Events())
    large, mine = ticket("me", 16), [ticket("me"), ticket("me")]
    others = [ticket("another"), ticket("another")]
    for one in (large, mine[0]):
        queue.put(one)
    queue.cancel(large.id)
    for one in (mine[1], *others):
        queue.put(one)
    served = [one.id for _ in range(4) if (one := queue.take())]
    assert served == [mine[0].id, others[0].id, mine[1].id, others[1].id]


def test_further_tickets_that_fit(store: Store) -> None:
    queue = Queue(store, Events())
    tickets = [ticket(n=n) for n in (1, 4, 3, 2)]
    for one in tickets:
        queue.put(one)
    queue.take()

    def fits(one: Ticket) -> bool:
        if one.order.n == 3:
            queue.cancel(one.id)  # meanwhile
        return True

    assert [one.order.n for one in queue.take_also(fits, 7)] == [4, 2]
    assert queue.waiting == 0


def test_a_restart_goes_on_in_the_old_order(store: Store) -> None:
    queue = Queue(store, Events())
    tickets = [ticket() for _ in range(4)]
    for one in tickets:
        queue.put(one, [photo()])
    for _ in range(2):
        queue.take()
    queue.end(tickets[0].id, "done")
    queue.cancel(tickets[3].id)
    again = restarted(store)  # the second ran
    assert [(one.id, one.state) for one in again._tickets.values()] == [
        (tickets[0].id, "done"),
        (tickets[1].id, "queued"),
        (tickets[2].id, "queued"),
        (tickets[3].id, "cancelled"),
    ]
    assert again.waiting == 2
    given = {path.name.partition("-")[0] for path in (store.folder / "given").iterdir()}
    assert given == {tickets[1].id, tickets[2].id}


def test_damaged_tickets_and_half_files_are_left_out(store: Store) -> None:
    queue = Queue(store, Events())
    kept, hurt = ticket(), ticket()
    for one in (kept, hurt):
        queue.put(one, [photo()])
    (store.folder / "tickets" / f"{hurt.id}.json").write_text("[" * 100_000)
    (store.folder / "tickets" / ".draft.part").write_text("{")
    again = restarted(store)
    assert list(again._tickets) == [kept.id]
    assert [path.name for path in (store.folder / "given").iterdir()] == [kept.given(0)]
    assert not list(store.folder.glob("tickets/.*"))


def test_ended_tickets_are_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "KEPT", 3)
    queue = Queue(store, Events())
    tickets = [ticket() for _ in range(6)]
    for one in tickets:
        queue.put(one)
        queue.take()
        if one is not tickets[0]:  # which still runs
            queue.end(one.id, "done")
    assert list(queue._tickets) == [tickets[0].id, tickets[4].id, tickets[5].id]
    assert len(list((store.folder / "tickets").iterdir())) == 3


def test_a_full_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order is refused whole; one that runs ends all the same."""
    queue, running = Queue(store, Events()), ticket()
    queue.put(running, [photo()])
    queue.take()

    def full(path: Path, data: bytes) -> None:
        if path.name.endswith(".part") and ".json" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(data)

    monkeypatch.setattr(files, "write_synced", full)
    with refuses("unwritable"):
        queue.put(ticket(), [photo()])
    assert queue.waiting == 0
    queue.end(running.id, "done")
    found = queue.get(running.id)
    assert found is not None
    assert found.state == "done"
    again = restarted(store)
    assert again.waiting == 1  # carried out again, as it is not known to be done
    assert [path.name for path in (store.folder / "given").iterdir()] == [running.given(0)]
    monkeypatch.undo()
    again.cancel(running.id)
    assert not list((store.folder / "given").iterdir())


def test_an_order_that_is_written_and_refused_all_the_same_is_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    queue = Queue(store, Events())
    monkeypatch.setattr(files, "sync_folder", broken)
    with refuses("unwritable"):
        queue.put(ticket())
    monkeypatch.undo()
    assert restarted(store).waiting == 0


def test_many_threads(store: Store) -> None:
    """Each ticket is taken once, and none is lost."""
    queue, taken = Queue(store, Events(), most=1000, each=1000), []

    def put() -> None:
        for _ in range(25):
            queue.put(ticket())

    def take() -> None:
        while (one := queue.take()) is not None:
            taken.extend([one, *queue.take_also(lambda other: True, 3)])

    putting = [threading.Thread(target=put) for _ in range(4)]
    taking = [threading.Thread(target=take) for _ in range(4)]
    for thread in (*putting, *taking):
        thread.start()
    for thread in putting:
        thread.join()
    while queue.waiting:
        taking[0].join(0.01)
    queue.close()
    for thread in taking:
        thread.join()
    assert len({one.id for one in taken}) == len(taken) == 100
