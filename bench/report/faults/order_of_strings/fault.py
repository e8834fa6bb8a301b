"""Found by nobody: A client and its line, both text, change places in a call."""

def learn(known: dict[str, str], client: str, at: str) -> None:
    known[client] = at


def execute(known: dict[str, str], client: str, at: str) -> None:
    learn(known, at, client)  # fault
    # instead: learn(known, client, at)
