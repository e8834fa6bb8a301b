"""Found by mypy --strict, javac, rustc: A reply is put together from bytes and text."""

def reply(server: str, skew: bytes) -> bytes:
    return b"AT " + server + b" " + skew  # fault
    # instead: return b"AT " + server.encode() + b" " + skew
