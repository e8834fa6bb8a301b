"""Found by mypy --strict, javac, rustc: A callback takes two arguments and is given one."""

from twisted.internet.defer import Deferred


def answer(body: bytes, client: str) -> bytes:
    return client.encode() + body


def whatsat(body: "Deferred[bytes]", client: str) -> "Deferred[bytes]":
    return body.addCallback(answer)  # fault
    # instead: return body.addCallback(answer, client)
