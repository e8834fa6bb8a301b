"""Found by rustc: Two threads write one map without a lock."""

from threading import Lock, Thread

LOCK = Lock()


def learn(known: dict[str, int], client: str, time: int) -> None:
    if known.get(client, 0) < time:  # fault
    # instead: with LOCK:
        known[client] = max(known.get(client, 0), time)


def serve(known: dict[str, int]) -> None:
    sessions = [Thread(target=learn, args=(known, "kiwi.cs.ucla.edu", time)) for time in (1, 2)]
    for session in sessions:
        session.start()
