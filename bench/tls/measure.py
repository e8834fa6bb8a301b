"""What TLS costs a connection: how soon ten thousand clients are connected, what other clients wait while two thousand shake
hands at once, and the memory of a connection that says nothing. Writes the run folder bench/runs/DATE-tls-connections.

    python3 bench/tls/measure.py                      about six minutes, on a quiet machine; an open-file limit above 12,000
    python3 bench/tls/measure.py --small --runs /tmp  some seconds, to see that it works

Nodes listen on free ports of loopback. What TLS costs a request is measured by `herd-load sweep bench/plans/tls.toml`, and
what a link over TLS carries by `herd-load repair HERD --only link`.
"""

import argparse
import contextlib
import json
import re
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from record import REPEATS_SECONDS, Record, Repeats, output

SETTLE_SECONDS = 0.3


class Node:
    """A node by itself, from its start to its end, which serves with TLS and without."""

    def __init__(self, programs, folder):
        self.programs, self.authority = programs, folder / "tls/authority.pem"
        self.port, self.tls_port = free_port(), free_port()
        if not self.authority.exists():
            command = [programs / "herd", "cert", folder / "tls", "127.0.0.1", "--name", "node"]
            subprocess.run(command, check=True, capture_output=True)
        config = folder / "herd.toml"
        config.write_text(
            '[herd]\nname = "bench"\n[log]\ntraffic = false\n[limits]\nhandshake_seconds = 60\n'
            '[tls]\ncertificate_file = "tls/node.pem"\nkey_file = "tls/node.key"\n[[node]]\nid = "Solo"\n'
            f'listen = "127.0.0.1:{self.port}"\ntls_listen = "127.0.0.1:{self.tls_port}"\n'
        )
        command = [programs / "herd", "node", "Solo", "--config", config, "--log-dir", folder]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        if not any(line.startswith("listening") for line in self.process.stdout):
            raise SystemExit(f"{' '.join(map(str, command))}: exit code {self.process.wait()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def begin(self, kind, *options):
        """A load on it, of connections that are plain, or speak TLS with whole handshakes or resumed ones."""
        port = self.port if kind == "plain" else self.tls_port
        flags = {"plain": [], "TLS": ["--ca", self.authority], "TLS, resumed": ["--ca", self.authority, "--resume"]}
        command = [self.programs / "herd-load", "run", f"127.0.0.1:{port}", *flags[kind], *options]
        command += ["--output-format", "json"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def rss_anon(self):
        """Without the program itself, and without what it has mapped of files; once it stays."""
        status, before = Path(f"/proc/{self.process.pid}/status"), None
        while True:
            now = 1024 * int(re.search(r"RssAnon:\s+(\d+)", status.read_text()).group(1))
            if now == before:
                return now
            before = now
            time.sleep(SETTLE_SECONDS)


def told(load):
    """What a load has told, once it is over."""
    out, error = load.communicate()
    if load.returncode:
        raise SystemExit(f"{' '.join(map(str, load.args))}: {error}")
    return json.loads(out)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def connect(programs, folder, kind, count):
    """All of them from one program, which opens sixteen at once."""

    def turn():
        with Node(programs, folder) as node:
            load = node.begin(kind, "-c", "1", "--idle", str(count - 1), "-n", "1", "--no-prefill")
            return {"seconds": told(load)["connecting_seconds"]}

    return turn


def beside(programs, folder, kind, count, rate, seconds):
    """What clients of plain connections wait who report at planned times, while others come that make one report each."""

    def turn():
        with Node(programs, folder) as node:
            length = ["-d", str(seconds), "--warmup", "0.5", "--no-prefill"]
            served = node.begin("plain", "-c", "50", "-R", str(rate), *length)
            # They come while the clients that are measured are being served.
            time.sleep(0.7)
            came = None
            if kind:
                each = ["-c", str(count), "-n", str(count), "--reconnect", "--no-prefill", "--timeout", "60"]
                came = told(node.begin(kind, *each))["seconds"]
            return {"came": came, **told(served)["response"]}

    return turn


def silent(programs, folder, kind, count):
    """Memory of a node, each of whose connections has been answered once."""

    def turn():
        with Node(programs, folder) as node, contextlib.ExitStack() as stack:
            context = ssl.create_default_context(cafile=node.authority)

            def client():
                port = node.port if kind == "plain" else node.tls_port
                stream = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                if kind != "plain":
                    stream = stack.enter_context(context.wrap_socket(stream, server_hostname="127.0.0.1"))
                stream.sendall(b"hello\n")
                if not stream.recv(64).startswith(b"? hello"):
                    raise SystemExit("a node did not answer")

            # The first costs what no other does.
            client()
            before = node.rss_anon()
            for _ in range(count):
                client()
            return {"bytes": (node.rss_anon() - before) / count}

    return turn


def connect_figures(told):
    return [("connected", "s", told["seconds"])]


def beside_figures(told):
    figures = [(f"response {name}", "ms", told[f"{name}_us"] / 1_000) for name in ("p50", "p99", "max")]
    return figures + ([("the others served", "s", told["came"])] if told["came"] else [])


def silent_figures(told):
    return [("memory a connection", "KiB", told["bytes"] / 1_024)]


def measure(record, programs, folder, small):
    rounds, repeats = 1 if small else 7, Repeats(0 if small else REPEATS_SECONDS)
    kinds = ("plain", "TLS", "TLS, resumed")
    count = 200 if small else 10_000
    turns = {kind: connect(programs, folder, kind, count) for kind in kinds}
    record.part(f"connect C={count}", rounds, turns, connect_figures, repeats)

    count, rate, seconds = (100, 1_000, 1) if small else (2_000, 10_000, 5)
    turns = {"nobody": beside(programs, folder, None, 0, rate, seconds)}
    turns |= {kind: beside(programs, folder, kind, count, rate, seconds) for kind in kinds[:2]}
    record.part(f"C=50 rate={rate} beside {count}", rounds, turns, beside_figures, repeats)

    count = 50 if small else 2_000
    turns = {kind: silent(programs, folder, kind, count) for kind in kinds[:2]}
    record.part(f"silent C={count}", 1 if small else 3, turns, silent_figures, repeats)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--runs", type=Path, default=ROOT / "bench/runs")
    parser.add_argument("--programs", type=Path, default=ROOT / "target/release", help="the folder of herd and herd-load")
    options = parser.parse_args()
    # For 10,000 connections, in this process and in those that it starts.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    record = Record(options.runs, "tls-connections", "Each turn is of a process of its own")
    versions = {name: output(options.programs / name, "--version") for name in ("herd", "herd-load")}
    record.describe(" ".join(["python3 bench/tls/measure.py", *sys.argv[1:]]), versions)
    with tempfile.TemporaryDirectory() as folder:
        measure(record, options.programs.resolve(), Path(folder), options.small)
    record.summary()
    print(record.folder)


if __name__ == "__main__":
    main()
