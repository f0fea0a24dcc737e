"""Work in several threads, with bounded memory. No torch."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from queue import Full, Queue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def count_workers() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_ahead(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """`work` of each item in threads, in order; only a few are under way at a time, so that memory stays bounded.

    A single worker is the caller itself: handing each item to another thread would only cost time.
    """
    if workers == 1:
        yield from map(work, items)
        return
    items = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        pending = deque(pool.submit(work, item) for item in islice(items, 2 * workers))
        try:
            while pending:
                result = pending.popleft().result()
                pending.extend(pool.submit(work, item) for item in islice(items, 1))
                yield result
        finally:
            for future in pending:
                future.cancel()


def iterate_ahead(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """`items`, made in a thread of their own that is at most `depth` of them ahead; its errors are raised here."""
    waiting: Queue[tuple[Item | None, BaseException | None]] = Queue(depth)
    stopped = threading.Event()

    def put(entry: tuple[Item | None, BaseException | None]) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(entry, timeout=0.1)
                return True
            except Full:
                pass
        return False

    def make() -> None:
        end: BaseException = StopIteration()
        source = iter(items)
        try:
            for item in source:
                if not put((item, None)):
                    break
        except BaseException as error:
            end = error
        finally:
            getattr(source, "close", lambda: None)()
            put((None, end))

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while True:
            item, end = waiting.get()
            if isinstance(end, StopIteration):
                return
            if end is not None:
                raise end
            yield item
    finally:
        stopped.set()
        thread.join()
