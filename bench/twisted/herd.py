"""A node of the herd in Twisted: a LineReceiver a connection. bench/README.md has the command line.

Bytes stay bytes, so that a client's come back as they came. All runs in the reactor's thread: nothing needs a lock.
"""

import sys
import time
import warnings
from pathlib import Path

from twisted.internet import defer, interfaces, protocol, reactor, task
from twisted.protocols.basic import LineReceiver
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from zope.interface import implementer

sys.path.append(str(Path(__file__).resolve().parents[1] / "python"))
import rules  # noqa: E402
from rules import BOUND, LOCATION, RADIUS, SKEW, TIMESTAMP  # noqa: E402

LOOKUPS = 1024  # connections to the upstream that are kept
# Said of Twisted's own transport, where a body has come with its head.
warnings.filterwarnings("ignore", message="Using readBody", category=DeprecationWarning)


@implementer(interfaces.IHalfCloseableProtocol)
class Session(LineReceiver):
    """A connection of a client or a peer that has dialled. A lookup pauses it, so that replies keep their order."""

    delimiter = b"\n"
    MAX_LENGTH = rules.LINE_BYTES + 1  # a CR may be the terminator's
    too_long = last = b""
    lookup = None

    def connectionMade(self):
        self.node = self.factory.node
        self.number = self.node.number(self.transport)
        self.node.sessions.add(self)

    def lineReceived(self, line):
        end = b"\n"
        if line.endswith(b"\r"):
            line, end = line[:-1], b"\r\n"
        self.execute(line, end)

    def lineLengthExceeded(self, line):
        self.too_long = line[:rules.SHOWN_BYTES]
        self.setRawMode()
        self.rawDataReceived(line)

    def rawDataReceived(self, data):
        skipped, newline, rest = data.partition(b"\n")
        self.last = skipped[-1:] or self.last
        if newline:
            shown, self.too_long = self.too_long, b""
            self.invalid(shown, b"\r\n" if self.last == b"\r" else b"\n")
            self.setLineMode(rest)

    def readConnectionLost(self):
        last = self.clearLineBuffer()
        if self.too_long:
            self.invalid(self.too_long, b"\n")
        elif len(last) > rules.LINE_BYTES:
            self.invalid(last[:rules.SHOWN_BYTES], b"\n")
        elif last:
            self.execute(last, b"\n")
        self.close()

    def writeConnectionLost(self):
        pass

    def connectionLost(self, reason):
        self.node.sessions.discard(self)

    def close(self):
        """After what is owed."""
        if self.lookup:
            self.lookup.addBoth(lambda _: self.transport.loseConnection())
        else:
            self.transport.loseConnection()

    def execute(self, line, end):
        if len(line) > rules.LINE_BYTES:
            return self.invalid(line[:rules.SHOWN_BYTES], end)
        node, number = self.node, self.number
        match line.split():
            case [b"IAMAT", client, location, timestamp] if LOCATION(location) and (match := TIMESTAMP(timestamp)):
                moment = rules.nanoseconds(match)
                difference = rules.skew(time.time_ns() - moment)
                at = b"AT %b %b %b %b %b" % (node.id, difference, client, location, timestamp)
                node.log.traffic(number + b" < " + line, number + b" > " + at)
                node.learn(client, moment, at, None)
                self.transport.write(at + end)
            case [b"WHATSAT", client, radius, bound] if (
                node.upstream and RADIUS(radius) and BOUND(bound) and client in node.known
            ):
                self.pauseProducing()
                at = node.known[client][1]
                self.lookup = defer.ensureDeferred(self.places(line, end, at, radius, int(bound)))
                self.lookup.addBoth(self.looked_up)
            case [b"AT", _, difference, client, location, timestamp, sender] if (
                sender in node.peers
                and SKEW(difference) and LOCATION(location) and (match := TIMESTAMP(timestamp))
            ):
                node.log.traffic(number + b" < " + line)
                node.learn(client, rules.nanoseconds(match), b" ".join(line.split()[:6]), sender)
            case _:
                self.invalid(line, end)

    def invalid(self, line, end):
        self.node.log.traffic(self.number + b" < " + line, self.number + b" > ? " + line)
        self.transport.write(b"? " + line + end)

    async def places(self, line, end, at, radius, bound):
        try:
            text, count = rules.cut(await self.node.ask(at.split()[4], radius), bound)
        except Exception:
            text, count = rules.FAILED, 0
        summary = b"%b > [%d results, %d bytes]" % (self.number, count, len(text))
        self.node.log.traffic(self.number + b" < " + line, self.number + b" > " + at, summary)
        self.transport.write(at + end + text.encode("latin-1") + end + end)

    def looked_up(self, result):
        self.lookup = None
        if not self.node.is_stopping:
            # Not from here: a lookup that is answered at once would nest within the loop over the lines.
            reactor.callLater(0, self.resumeProducing)
        return result


class Link(protocol.Protocol):
    """What this node says to a peer. What the peer says on it is thrown away."""

    def connectionMade(self):
        self.node, self.peer = self.factory.node, self.factory.peer
        self.number = self.node.number(self.transport)
        self.transport.registerProducer(self, True)
        self.is_full = False
        self.node.links[self.peer] = self
        print(f"linked {self.peer.decode()}", flush=True)

    def pauseProducing(self):
        self.is_full = True

    def resumeProducing(self):
        self.is_full = False

    def stopProducing(self):
        pass

    def connectionLost(self, reason):
        self.node.links.pop(self.peer, None)


class Dialler(protocol.ReconnectingClientFactory):
    protocol, initialDelay, factor, jitter, noisy = Link, rules.RETRY_SECONDS, 1, 0, False

    def __init__(self, node, peer):
        self.node, self.peer = node, peer


class Node:
    def __init__(self, options):
        self.id, self.log, self.upstream = options.id.encode(), rules.Log(options.log), options.upstream
        self.peers = dict(peer.encode().split(b"=") for peer in options.peer)
        self.links = {}  # by peer's id
        self.known = {}  # by client: its time and its AT line
        self.sessions, self.connections, self.is_stopping = set(), 0, False
        pool = HTTPConnectionPool(reactor)
        pool.maxPersistentPerHost = LOOKUPS
        self.agent = Agent(reactor, pool=pool, connectTimeout=rules.LOOKUP_SECONDS)

    def number(self, transport):
        transport.setTcpNoDelay(True)
        self.connections += 1
        return b"#%d" % self.connections

    async def ask(self, location, radius):
        url = self.upstream + rules.target(location, radius)
        request = self.agent.request(b"GET", url.encode()).addTimeout(rules.LOOKUP_SECONDS, reactor)
        response = await request
        if response.code != 200:
            raise OSError("the upstream refused")
        return await readBody(response).addTimeout(rules.LOOKUP_SECONDS, reactor)

    def learn(self, client, moment, at, sender):
        """Keeps what is strictly newer, and tells it to all peers but the one it came from."""
        if client in self.known and self.known[client][0] >= moment:
            return
        self.known[client] = moment, at
        news = at + b" " + self.id
        for peer, link in self.links.items():
            if peer != sender and not link.is_full:
                self.log.traffic(link.number + b" > " + news)
                link.transport.write(news + b"\n")

    def serve(self, listen):
        host, port = rules.address(listen)
        factory = protocol.Factory.forProtocol(Session)
        factory.node, factory.noisy = self, False
        self.listener = reactor.listenTCP(port, factory, backlog=rules.BACKLOG, interface=host)
        address = self.listener.getHost()
        print(f"listening {address.host}:{address.port}", flush=True)
        for peer, address in self.peers.items():
            reactor.connectTCP(*rules.address(address.decode()), Dialler(self, peer))
        task.LoopingCall(self.log.flush).start(1)
        reactor.addSystemEventTrigger("before", "shutdown", self.drain)
        reactor.run()

    async def drained(self):
        while self.sessions:
            await task.deferLater(reactor, 0.01)
        self.log.flush()

    def drain(self):
        """The reactor stops when this is done, or takes too long."""
        self.is_stopping = True
        self.listener.stopListening()
        for session in list(self.sessions):
            session.close()
        return defer.ensureDeferred(self.drained()).addTimeout(rules.DRAIN_SECONDS, reactor)


if __name__ == "__main__":
    options = rules.options()
    Node(options).serve(options.listen)
