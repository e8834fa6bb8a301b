"""Found by mypy --strict, javac, rustc: A client and its line, each of a type of its own, change places in a call."""

from typing import NewType

Client = NewType("Client", str)
Line = NewType("Line", str)


def learn(known: dict[Client, Line], client: Client, at: Line) -> None:
    known[client] = at


def execute(known: dict[Client, Line], client: Client, at: Line) -> None:
    learn(known, at, client)  # fault
    # instead: learn(known, client, at)
