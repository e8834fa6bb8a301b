"""Found by mypy --strict, rustc: A WHATSAT is answered as if every client were known."""

def whatsat(known: dict[str, str], client: str) -> str:
    at = known.get(client)
    return at + "\n"  # fault
    # instead: return (at or "?") + "\n"
