"""What the interpreter lock costs: the same lines parsed and answered by one thread, two threads or two processes.

    python bench/python/lock.py threads 2 400000
    python bench/python/lock.py wakes 1 500         how late a thread goes on after a wait, beside one that answers lines

No sockets: the work is what the models' session does between a read and a write, with the models' own rules. Threads share
one map, as a herd's node needs it; processes have one each, which a herd could not use without telling each other.
"""

import json
import multiprocessing
import sys
import threading
import time

import rules

CLIENTS = 10_000


def lines(first, count):
    """Reports of so many clients, each newer than the last: every line is stored."""
    for number in range(first, first + count):
        client = number % CLIENTS
        yield b"IAMAT client-%d.example +34.068930-118.445127 %d.392014450" % (client, 1_479_413_884 + number)


def answer(known, line):
    """A report's answer, and its location in the map: what both models do for it, without the log."""
    match line.split():
        case [b"IAMAT", client, location, timestamp] if (
            rules.LOCATION(location) and (match := rules.TIMESTAMP(timestamp))
        ):
            moment = rules.nanoseconds(match)
            difference = rules.skew(time.time_ns() - moment)
            at = b"AT %b %b %b %b %b" % (b"Alford", difference, client, location, timestamp)
            if client not in known or known[client][0] < moment:
                known[client] = moment, at
            return at + b"\n"
    return b"? " + line + b"\n"


def work(known, own, begin, spans):
    """Answers its own lines once all are ready, and says when it began and ended."""
    begin.wait()
    start = time.monotonic()
    size = 0
    for line in own:
        size += len(answer(known, line))
    spans.put((start, time.monotonic(), size))


def measure(kind, workers, count):
    """How long all of them took, from the first one's start to the last one's end."""
    share = count // workers
    shares = [list(lines(share * worker, share)) for worker in range(workers)]
    if kind == "threads":
        make, begin, spans = threading.Thread, threading.Barrier(workers), multiprocessing.SimpleQueue()
    else:
        context = multiprocessing.get_context("fork")
        make, begin, spans = context.Process, context.Barrier(workers), context.SimpleQueue()
    known = {}
    all_workers = [make(target=work, args=(known, own, begin, spans)) for own in shares]
    for worker in all_workers:
        worker.start()
    told = [spans.get() for _ in all_workers]
    for worker in all_workers:
        worker.join()
    seconds = max(end for _, end, _ in told) - min(start for start, _, _ in told)
    # An answer is longer than its question, so these are answers and not refusals.
    assert sum(size for *_, size in told) > count * len(b"AT Alford +1.000000000 client-1.example")
    return {"lines": share * workers, "seconds": seconds}


def wakes(workers, count):
    """How late this thread goes on after waits of a millisecond, as an event loop does while other threads compute."""
    is_over = threading.Event()
    own = list(lines(0, CLIENTS))

    def compute():
        while not is_over.is_set():
            for line in own:
                answer({}, line)

    threads = [threading.Thread(target=compute) for _ in range(workers)]
    for thread in threads:
        thread.start()
    late = []
    for _ in range(count):
        due = time.monotonic() + 0.001
        time.sleep(0.001)
        late.append(time.monotonic() - due)
    is_over.set()
    for thread in threads:
        thread.join()
    late.sort()
    return {"late_ms": late[count // 2] * 1e3, "late_p99_ms": late[count * 99 // 100] * 1e3}


if __name__ == "__main__":
    what, workers, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    print(json.dumps(wakes(workers, count) if what == "wakes" else measure(what, workers, count)))
