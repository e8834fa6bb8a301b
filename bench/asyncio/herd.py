"""A node of the herd in Python's asyncio: a coroutine a connection, on streams. bench/README.md has the command line.

Bytes stay bytes, so that a client's come back as they came. A read brings a batch of lines, whose replies leave in one
write. Nothing needs a lock: between two awaits nobody else runs.
"""

import asyncio
import re
import signal
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.append(str(Path(__file__).resolve().parents[1] / "python"))
import rules  # noqa: E402
from rules import BOUND, LOCATION, RADIUS, SKEW, TIMESTAMP  # noqa: E402

READ_BYTES = 64 * 1024
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class Upstream:
    """Nearby Search over connections that are kept."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.host, self.port, self.idle = parts.hostname, parts.port or 80, []

    async def ask(self, location, radius):
        request = f"GET {rules.target(location, radius)} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n\r\n".encode()
        while self.idle:  # one that was kept may have been closed meanwhile
            connection = self.idle.pop()
            try:
                return await self.exchange(connection, request)
            except (OSError, asyncio.IncompleteReadError):
                pass
        return await self.exchange(await asyncio.open_connection(self.host, self.port), request)

    async def exchange(self, connection, request):
        reader, writer = connection
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(LENGTH.search(head)[1]))
        except BaseException:
            writer.close()
            raise
        self.idle.append(connection)
        return body


class Node:
    def __init__(self, options):
        self.id, self.log = options.id.encode(), rules.Log(options.log)
        self.upstream = Upstream(options.upstream) if options.upstream else None
        self.peers = dict(peer.split("=") for peer in options.peer)
        self.links = {}  # by peer's id: the connection's number and its writer
        self.known = {}  # by client: its time and its AT line
        self.readers, self.sessions = {}, set()
        self.connections, self.is_stopping = 0, False

    def number(self, writer):
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        return b"#%d" % self.connections

    async def session(self, reader, writer):
        task, number = asyncio.current_task(), self.number(writer)
        self.sessions.add(task)
        self.readers[reader] = writer
        rest, too_long = b"", b""
        try:
            while data := await reader.read(READ_BYTES):
                *lines, rest = (rest + data).split(b"\n")
                replies = []
                for line in lines:
                    end = b"\r\n" if line.endswith(b"\r") else b"\n"
                    line, too_long = too_long or line.removesuffix(b"\r"), b""
                    reply = self.execute(number, line, end)
                    if type(reply) is not bytes:  # what is owed does not wait for a lookup
                        writer.write(b"".join(replies))
                        replies = []
                        reply = await reply
                    replies.append(reply)
                if len(rest) > rules.LINE_BYTES + 1:  # a CR may be the terminator's
                    too_long = too_long or rest
                if too_long:
                    rest = rest[-1:]
                writer.write(b"".join(replies))
                await writer.drain()
            if (rest or too_long) and not self.is_stopping:
                reply = self.execute(number, too_long or rest, b"\n")
                writer.write(reply if type(reply) is bytes else await reply)
            writer.close()
            await writer.wait_closed()
        except OSError:
            writer.close()
        finally:
            self.sessions.discard(task)
            del self.readers[reader]

    def execute(self, number, line, end):
        """The reply to a line, or what is to be awaited for it."""
        if len(line) > rules.LINE_BYTES:
            return self.invalid(number, line[:rules.SHOWN_BYTES], end)
        match line.split():
            case [b"IAMAT", client, location, timestamp] if LOCATION(location) and (match := TIMESTAMP(timestamp)):
                moment = rules.nanoseconds(match)
                difference = rules.skew(time.time_ns() - moment)
                at = b"AT %b %b %b %b %b" % (self.id, difference, client, location, timestamp)
                self.log.traffic(number + b" < " + line, number + b" > " + at)
                self.learn(client, moment, at, None)
                return at + end
            case [b"WHATSAT", client, radius, bound] if (
                self.upstream and RADIUS(radius) and BOUND(bound) and client in self.known
            ):
                at = self.known[client][1]
                return self.places(number, line, end, at, radius, int(bound))
            case [b"AT", _, difference, client, location, timestamp, sender] if (
                sender.decode("latin-1") in self.peers
                and SKEW(difference) and LOCATION(location) and (match := TIMESTAMP(timestamp))
            ):
                self.log.traffic(number + b" < " + line)
                self.learn(client, rules.nanoseconds(match), b" ".join(line.split()[:6]), sender.decode("latin-1"))
                return b""
        return self.invalid(number, line, end)

    def invalid(self, number, line, end):
        self.log.traffic(number + b" < " + line, number + b" > ? " + line)
        return b"? " + line + end

    async def places(self, number, line, end, at, radius, bound):
        try:
            async with asyncio.timeout(rules.LOOKUP_SECONDS):
                text, count = rules.cut(await self.upstream.ask(at.split()[4], radius), bound)
        except (OSError, asyncio.IncompleteReadError, ValueError, AttributeError, IndexError, TypeError):
            text, count = rules.FAILED, 0
        summary = b"%b > [%d results, %d bytes]" % (number, count, len(text))
        self.log.traffic(number + b" < " + line, number + b" > " + at, summary)
        return at + end + text.encode("latin-1") + end + end

    def learn(self, client, moment, at, sender):
        """Keeps what is strictly newer, and tells it to all peers but the one it came from."""
        if client in self.known and self.known[client][0] >= moment:
            return
        self.known[client] = moment, at
        news = at + b" " + self.id
        for peer, (number, writer) in self.links.items():
            if peer != sender and writer.transport.get_write_buffer_size() < rules.OUTBOX_BYTES:
                self.log.traffic(number + b" > " + news)
                writer.write(news + b"\n")

    async def link(self, peer, address):
        while True:
            try:
                reader, writer = await asyncio.open_connection(*rules.address(address))
                self.links[peer] = self.number(writer), writer
                print(f"linked {peer}", flush=True)
                while await reader.read(READ_BYTES):
                    pass
            except OSError:
                pass
            if peer in self.links:
                self.links.pop(peer)[1].close()
            await asyncio.sleep(rules.RETRY_SECONDS)

    async def serve(self, listen):
        server = await asyncio.start_server(self.session, *rules.address(listen), backlog=rules.BACKLOG)
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        print("listening %s:%d" % server.sockets[0].getsockname()[:2], flush=True)
        links = [asyncio.create_task(self.link(*peer)) for peer in self.peers.items()]
        while not stop.is_set():
            self.log.flush()
            try:
                await asyncio.wait_for(stop.wait(), 1)
            except TimeoutError:
                pass
        self.is_stopping = True
        server.close()
        for reader, writer in self.readers.items():  # what was read is finished
            if not writer.transport.is_closing():
                writer.transport.pause_reading()
            reader.feed_eof()
        if self.sessions:
            await asyncio.wait(self.sessions, timeout=rules.DRAIN_SECONDS)
        for link in links:
            link.cancel()
        for _, writer in self.links.values():
            writer.close()
        await asyncio.sleep(0)
        self.log.flush()


def main():
    options = rules.options("--uvloop")
    node = Node(options).serve(options.listen)
    if options.uvloop:
        import uvloop
        uvloop.run(node)
    else:
        asyncio.run(node)


if __name__ == "__main__":
    main()
