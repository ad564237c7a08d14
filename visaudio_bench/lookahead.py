"""Work that is begun ahead of who wants its results, by a few threads and no further than memory allows.

For what lets other threads run while it works: decoding and scaling do. Results come in order, each when it is asked
for, so that an item that fails costs itself, and where it was asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


def ahead(
    work: Callable[[Item], Value], items: Iterable[Item], threads: int, most: int
) -> Generator[tuple[Item, Callable[[], Value]], None, None]:
    """Do something with each of several items, some of them before their results are asked for.

    Args:
        work: what is done, in any of the threads.
        items: with what; of these, too, no more are taken than are worked on.
        threads: that work beside this one; with none everything is done here, when it is asked for.
        most: results that there are beside the one that was given last, those that are being worked on included.

    Returns:
        A generator of the items, each with what gives its result, or raises what `work` did.
    """
    if not threads:
        yield from ((item, partial(work, item)) for item in items)
        return
    begun: deque[tuple[Item, Future[Value]]] = deque()
    follow = iter(items)
    with ExitStack() as ended:
        pool = ThreadPoolExecutor(threads)
        ended.callback(pool.shutdown, cancel_futures=True)
        while True:
            begun.extend((item, pool.submit(work, item)) for item in islice(follow, most - len(begun)))
            if not begun:
                return
            item, result = begun[0]
            yield item, result.result
            begun.popleft()
            del result
