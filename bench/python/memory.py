"""How CPython gives memory back: at once by reference counts, later by the collector where objects refer to each other.

    python bench/python/memory.py dropped cycle on 2000   dropped connections that are still there, with the collector on
    python bench/python/memory.py closed twisted 500      the same of a framework's own; twisted-failed: closed by an error
    python bench/python/memory.py heap tuple 1000000      bytes a client of a map, and the collector's pauses as it grows
"""

import asyncio
import gc
import json
import os
import socket
import sys
import threading
import time
import weakref

BUFFER_BYTES = 64 * 1024  # what a connection had read when it was dropped
LINE = b"WHATSAT kiwi.cs.ucla.edu 10 5\n"


class Session:
    """Of a connection, with the buffer that it has read into."""

    def __init__(self, transport):
        self.transport, self.buffer = transport, bytearray(BUFFER_BYTES)


class Transport:
    """Of the same connection. A framework's refers back to its session."""

    session = None


def dropped(shape, collector, count):
    """Connects and drops one after another; how many of them were there at once, though nobody used them any more."""
    gc.collect()
    (gc.enable if collector == "on" else gc.disable)()
    alive, most = [], 0
    for _ in range(count):
        transport = Transport()
        session = Session(transport)
        if shape == "cycle":
            transport.session = session
        alive.append(weakref.ref(session))
        del transport, session
        alive = [one for one in alive if one()]
        most = max(most, len(alive))
    left = len(alive)
    gc.enable()
    gc.collect()
    return {"most": most, "left": left, "collected": left - sum(1 for one in alive if one())}


def clients(port, count, ask):
    """Connects so many times, one after another, and reads until the server closes."""
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(ask)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass


def asyncio_closed(count, ask, sessions):
    """Of the model's streams: a coroutine a connection."""

    async def session(reader, writer):
        sessions.append(weakref.ref(writer))
        try:
            while line := await reader.readline():
                if line == b"fail\n":
                    raise ValueError("the handler's own fault")
                writer.write(b"? " + line)
                await writer.drain()
        finally:
            writer.close()

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        server = await asyncio.start_server(session, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await asyncio.to_thread(clients, port, count, ask)
        server.close()
        await asyncio.sleep(0.1)

    asyncio.run(main())


def twisted_closed(count, ask, sessions):
    """Of Twisted: a LineReceiver a connection."""
    from twisted.internet import protocol, reactor, threads
    from twisted.logger import globalLogBeginner
    from twisted.protocols.basic import LineReceiver

    # Until somebody takes them, it keeps what it would log, with the failures and all that they refer to.
    globalLogBeginner.beginLoggingTo([lambda event: None], redirectStandardIO=False)

    class Receiver(LineReceiver):
        delimiter = b"\n"

        def connectionMade(self):
            sessions.append(weakref.ref(self))

        def lineReceived(self, line):
            if line == b"fail":
                raise ValueError("the handler's own fault")
            self.sendLine(b"? " + line)

    port = reactor.listenTCP(0, protocol.Factory.forProtocol(Receiver), interface="127.0.0.1").getHost().port
    done = threads.deferToThread(clients, port, count, ask)
    done.addBoth(lambda _: reactor.callLater(0.1, reactor.stop))
    reactor.run()


def closed(framework, count):
    """Connections that were served and closed, with the collector off: how many of them are still there."""
    name, _, ends = framework.partition("-")
    serve = {"asyncio": asyncio_closed, "twisted": twisted_closed}[name]
    sessions = []
    gc.collect()
    gc.disable()
    serve(count, b"fail\n" if ends == "failed" else LINE, sessions)
    left = sum(1 for session in sessions if session())
    gc.collect()
    assert len(sessions) == count
    return {"left": left, "after": sum(1 for session in sessions if session())}


class Location:
    """As an object, where the models have a tuple."""

    __slots__ = ("moment", "at")

    def __init__(self, moment, at):
        self.moment, self.at = moment, at


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def heap(kind, count):
    """A map as the models have it, while it grows and after."""
    pauses, start = [], 0

    def tell(phase, info):
        nonlocal start
        if phase == "start":
            start = time.perf_counter()
        else:
            pauses.append((info["generation"], time.perf_counter() - start))

    make = {"tuple": lambda moment, at: (moment, at), "object": Location}[kind]
    gc.collect()
    gc.callbacks.append(tell)
    before, begin, known = resident(), time.perf_counter(), {}
    for number in range(count):
        client = b"client-%d.example" % number
        at = b"AT Alford +0.263873386 %b +34.068930-118.445127 1479413884.392014450" % client
        known[client] = make(1_479_413_884_392_014_450 + number, at)
    seconds, bytes_grown = time.perf_counter() - begin, resident() - before
    while_growing = list(pauses)
    gc.collect()
    full = pauses[-1][1]
    return {
        "bytes": bytes_grown / count,
        "longest_ms": max((pause for _, pause in while_growing), default=0) * 1e3,
        "share": sum(pause for _, pause in while_growing) / seconds,
        "full_collections": sum(1 for generation, _ in while_growing if generation == 2),
        "full_ms": full * 1e3,
    }


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    threading.stack_size(1 << 20)
    if what == "dropped":
        told = dropped(rest[0], rest[1], int(rest[2]))
    elif what == "closed":
        told = closed(rest[0], int(rest[1]))
    else:
        told = heap(rest[0], int(rest[1]))
    print(json.dumps(told))
