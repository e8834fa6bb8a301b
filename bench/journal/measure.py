"""What a journal's disk takes, and what a journal costs at a start and while it writes a snapshot: writes the run folder
bench/runs/DATE-recovery.

    python3 bench/journal/measure.py                     about ten minutes, on a quiet machine; 5 GB of disk, 4 GB of memory
    python3 bench/journal/measure.py --small --runs /tmp  some seconds, to see that it works

Nodes listen on free ports of loopback. Folders are below --scratch, which is to be on the disk that is measured. What
clients get by each kind of sync is measured by `herd-load sweep bench/plans/journal.toml`.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from record import REPEATS_SECONDS, Record, Repeats, output

START_SECONDS, STOP_SECONDS = 120, 300
# More than any journal here has: no snapshot replaces its segments.
NO_SNAPSHOT = 1 << 40
# As soon as there are changes, and no snapshot of the same length yet.
SNAPSHOT_AT_ONCE = 4_096


class Node:
    """A node by itself, whose journal is in that folder, from its start to its end."""

    def __init__(self, programs, folder, sync="interval", snapshot_bytes=NO_SNAPSHOT):
        self.folder = folder
        self.port, self.web = free_port(), free_port()
        config = folder.with_suffix(".toml")
        config.write_text(
            f'[herd]\nname = "bench"\n[log]\ntraffic = false\n[limits]\ndrain_seconds = {STOP_SECONDS}\n'
            f'[journal]\ndir = "{folder}"\nsync = "{sync}"\nsnapshot_bytes = {snapshot_bytes}\n'
            f'[[node]]\nid = "Solo"\nlisten = "127.0.0.1:{self.port}"\nhttp = "127.0.0.1:{self.web}"\n'
        )
        command = [programs / "herd", "node", "Solo", "--config", config, "--log-dir", folder.with_suffix(".log")]
        began = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("listening"):
                break
        else:
            raise SystemExit(f"{' '.join(map(str, command))}: exit code {self.process.wait()}")
        self.start_seconds = time.monotonic() - began

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """What is in the folder stays as it is."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        """A clean stop."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=STOP_SECONDS)
        if code:
            raise SystemExit(f"a node's stop: exit code {code}")

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/metrics", timeout=10) as page:
            text = page.read().decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE).group(1))

    def resident_bytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def load(self, programs, *options):
        """What `herd-load run` tells of a load on it."""
        command = [programs / "herd-load", "run", f"127.0.0.1:{self.port}", *options, "--output-format", "json"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr}")
        return json.loads(done.stdout)

    def wait_until_synced(self):
        while self.metric("proxyherd_journal_unsynced_bytes") > 0:
            time.sleep(0.1)

    def journal_bytes(self):
        return sum(file.stat().st_size for file in (self.folder / "Solo").iterdir())


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def syncs(scratch, size, seconds):
    """Appends so many bytes and brings them to the disk, again and again, as `commit` does at best."""

    def turn():
        file = os.open(scratch / "syncs", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        piece, count, began = bytes(size), 0, time.monotonic()
        while time.monotonic() < began + seconds:
            os.write(file, piece)
            os.fdatasync(file)
            count += 1
        took = time.monotonic() - began
        os.close(file)
        return {"rate": count / took}

    return turn


def written(programs, scratch, options):
    """How much a node writes for the lines that its journal takes."""

    def turn():
        folder = fresh(scratch / "written")
        with Node(programs, folder) as node:
            node.load(programs, *options)
            node.wait_until_synced()
            lines = node.metric("proxyherd_journal_appended_bytes_total")
            return {"share": node.journal_bytes() / lines}

    return turn


def fill(programs, scratch, clients):
    """Two folders with these clients: one of segments only, as after a kill, one of a snapshot only, as after a stop."""
    segments, snapshot = fresh(scratch / f"segments-{clients}"), fresh(scratch / f"snapshot-{clients}")
    with Node(programs, segments) as node:
        node.load(programs, "--clients", str(clients), "-P", "64", "-n", "1", "--prefill")
        node.wait_until_synced()
    shutil.copytree(segments, snapshot)
    with Node(programs, snapshot) as node:
        node.stop()
    kinds = {segments: "segment", snapshot: "snapshot"}
    for folder, kind in kinds.items():
        names = [file.name for file in (folder / "Solo").iterdir() if file.stat().st_size > 4_096]
        if not all(kind in name for name in names):
            raise SystemExit(f"{folder} was to be of {kind}s only: {names}")
    return segments, snapshot


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def start(programs, folder, clients, is_cold):
    """Reads a journal. The node is killed afterwards, so the folder stays as it was."""

    def turn():
        if is_cold:
            forget_pages(folder)
        with Node(programs, folder) as node:
            known = int(node.metric("proxyherd_clients"))
            if known != clients:
                raise SystemExit(f"{folder}: {known} clients of {clients}")
            return {"seconds": node.start_seconds, "bytes": node.resident_bytes() / clients}

    return turn


def forget_pages(folder):
    """Lets the system drop what it has of these files in memory, as after a reboot."""
    for path in (folder / "Solo").iterdir():
        file = os.open(path, os.O_RDONLY)
        os.fdatasync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def beside(programs, segments, options, snapshot_bytes):
    """What clients wait while a snapshot is written, or while none is."""

    def turn():
        # The node begins new files and removes old ones; it changes none.
        folder = fresh(segments.with_name("beside"))
        shutil.copytree(segments, folder, copy_function=os.link)
        with Node(programs, folder, snapshot_bytes=snapshot_bytes) as node:
            told = node.load(programs, *options)
            ended = node.metric("proxyherd_journal_snapshots_total")
            partial = any("partial" in file.name for file in (folder / "Solo").iterdir())
            if ended or partial != (snapshot_bytes == SNAPSHOT_AT_ONCE):
                raise SystemExit(f"a snapshot was to be under way all the time, or not at all: {ended}, {partial}")
            return told["response"]

    return turn


def rate_figures(told):
    return [("rate", "/s", told["rate"])]


def written_figures(told):
    return [("bytes written a byte of lines", "", told["share"])]


def start_figures(told):
    return [("start until listening", "s", told["seconds"]), ("rss a client", "bytes", told["bytes"])]


def beside_figures(told):
    return [(f"response {name}", "ms", told[f"{name}_us"] / 1_000) for name in ("p50", "p99")]


def measure(record, programs, scratch, small):
    rounds, repeats = 1 if small else 7, Repeats(0 if small else REPEATS_SECONDS)
    # What 50 reports are as lines in frames, one in flight on each of 50 connections, and 64.
    sizes = {"C=50 P=1": 50 * 96, "C=50 P=64": 3_200 * 96}
    seconds = 0.1 if small else 1
    turns = {f"{size} bytes": syncs(scratch, size, seconds) for size in sizes.values()}
    record.part("syncs", rounds, turns, rate_figures, repeats)

    length = ["-n", "2000"] if small else ["-d", "2"]
    # At a rate that the disk can follow: what found no room would be in a snapshot instead.
    loads = {
        "C=1 P=1": ["-c", "1"],
        "C=50 P=1": ["-c", "50"],
        "C=50 rate=300000": ["-c", "50", "-R", "300000"],
    }
    turns = {name: written(programs, scratch, [*load, *length]) for name, load in loads.items()}
    record.part("written", 1 if small else 3, turns, written_figures, repeats)

    for clients in (1_000, 20_000) if small else (1_000_000, 10_000_000):
        segments, snapshot = fill(programs, scratch, clients)
        turns = {
            f"{name}{', from the disk' if is_cold else ''}": start(programs, folder, clients, is_cold)
            for name, folder in (("snapshot", snapshot), ("segments", segments))
            for is_cold in (False, True)
        }
        record.part(f"start clients={clients}", 1 if small else 5, turns, start_figures, repeats)
        shutil.rmtree(snapshot)

    # Of the largest, so that its snapshot takes longer than the load.
    if not small:
        load = ["-c", "50", "-R", "30000", "-d", "2", "--warmup", "0.3", "--no-prefill"]
        turns = {
            "snapshot under way": beside(programs, segments, load, SNAPSHOT_AT_ONCE),
            "none": beside(programs, segments, load, NO_SNAPSHOT),
        }
        record.part("C=50 rate=30000", rounds, turns, beside_figures, repeats)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--runs", type=Path, default=ROOT / "bench/runs")
    parser.add_argument("--programs", type=Path, default=ROOT / "target/release", help="the folder of herd and herd-load")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()), help="a folder on the disk")
    options = parser.parse_args()
    record = Record(options.runs, "recovery", "Each turn is of a process of its own")
    versions = {name: output(options.programs / name, "--version") for name in ("herd", "herd-load")}
    record.describe(" ".join(["python3 bench/journal/measure.py", *sys.argv[1:]]), versions)
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.scratch)))
        measure(record, options.programs.resolve(), scratch, options.small)
    record.summary()
    print(record.folder)


if __name__ == "__main__":
    main()
