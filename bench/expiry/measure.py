"""What it costs that everything a herd knows grows too old in one step: writes the run folder bench/runs/DATE-expiry.

    python3 bench/expiry/measure.py                      about 50 minutes, on a quiet machine; 5 GB of memory
    python3 bench/expiry/measure.py --small --runs /tmp  some minutes, to see that it works

Two nodes that keep locations for an hour are linked. A third neighbour, which is this script, pushes records that a server
took nearly an hour ago, all within one step. The herd's own clock has them forgotten. Told are the longest time that a walk
kept a part of the store to itself, with the waits for it and for a processor, and without them; how many records were pushed from the step on; how many rounds a
link took until both nodes had one sum; and what clients waited, before the step and across it.
"""

import argparse
import json
import re
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

FORGET_AFTER, STEP = 3_600, 60
PIECE_LINES = 10_000
NODES = ("Alford", "Welsh")


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Herd:
    """Both nodes, from their start to their end, and where they take this script for their neighbour."""

    def __init__(self, programs, folder):
        self.folder = folder
        self.ports = {name: (free_port(), free_port()) for name in NODES}
        self.feeder = socket.create_server(("127.0.0.1", 0))
        config = folder / "herd.toml"
        text = f'[herd]\nname = "bench"\nforget_after = "{FORGET_AFTER // 3_600}h"\n[log]\ntraffic = false\n'
        text += "[limits]\nmax_bytes = 17179869184\n"
        links = {"Alford": '["Welsh", "Feeder"]', "Welsh": '["Alford"]'}
        for name, (port, web) in self.ports.items():
            text += f'[[node]]\nid = "{name}"\nlisten = "127.0.0.1:{port}"\nhttp = "127.0.0.1:{web}"\nlinks = {links[name]}\n'
        text += f'[[node]]\nid = "Feeder"\nlisten = "127.0.0.1:{self.feeder.getsockname()[1]}"\nlinks = ["Alford"]\n'
        config.write_text(text)
        self.processes = []
        for name in NODES:
            command = [programs / "herd", "node", name, "--config", config, "--log-dir", folder]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            self.processes.append(process)
            if not any(line.startswith("listening") for line in process.stdout):
                raise SystemExit(f"{' '.join(map(str, command))}: exit code {process.wait()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdout.close()
        self.feeder.close()

    def status(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name][1]}/status", timeout=60) as page:
            return json.load(page)

    def wait_for(self, what, is_so, seconds):
        until = time.monotonic() + seconds
        while not is_so([self.status(name) for name in NODES]):
            if time.monotonic() > until:
                raise SystemExit(f"{what}: not within {seconds} s")
            time.sleep(0.2)

    def feed(self, records, taken):
        """Pushes so many records that a server took then. Equal nodes place alike, so the node's own HELLO says how."""
        dialled, _ = self.feeder.accept()
        check = dialled.makefile().readline().split()[6]
        dialled.close()
        with socket.create_connection(("127.0.0.1", self.ports["Alford"][0])) as session:
            lines = session.makefile()
            session.sendall(f"HELLO 2 bench Feeder Alford 00c0ffee00c0ffee {check} {FORGET_AFTER} - -\n".encode())
            if not lines.readline().startswith("HELLO "):
                raise SystemExit("the neighbour that feeds is refused")
            for begin in range(0, records, PIECE_LINES):
                piece = range(begin, min(begin + PIECE_LINES, records))
                text = "".join(f"PUSH Feeder +0.000000000 c{n}.example.edu +34.068930-118.445127 {taken}\n" for n in piece)
                session.sendall(f"{text}PING {begin // PIECE_LINES + 1}\n".encode())
                if not lines.readline().startswith("PONG "):
                    raise SystemExit("the neighbour that feeds is not answered")

    def load(self, programs, seconds, rate):
        command = [programs / "herd-load", "run", f"127.0.0.1:{self.ports['Alford'][0]}", "-c", "50", "-R", str(rate)]
        command += ["-d", str(seconds), "--output-format", "json"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr}")
        return json.loads(done.stdout)["response"]

    def pushed(self):
        """What rounds have pushed so far, as the logs tell."""
        texts = [(self.folder / f"{name}.log").read_text() for name in NODES]
        return sum(int(count) for text in texts for count in re.findall(r" and pushed (\d+) location", text))

    def rounds(self):
        return max(link["rounds"] for name in NODES for link in self.status(name)["links"] if link["peer"] != "Feeder")


def expiry(programs, scratch, records, minutes, seconds, rate):
    """Everything grows too old that many minutes after it was pushed."""

    def turn():
        with tempfile.TemporaryDirectory(dir=scratch) as folder, Herd(programs, Path(folder)) as herd:
            watermark = herd.status("Alford")["retention"]["watermark"]
            hides_at = watermark + (minutes + 1) * STEP
            herd.feed(records, hides_at - STEP // 2)
            are_alike = lambda told: len({status["sum"] for status in told}) == 1
            herd.wait_for(
                "both know all", lambda told: are_alike(told) and all(status["clients"] >= records for status in told), minutes * 60
            )
            before = herd.load(programs, seconds, rate)
            left = hides_at + FORGET_AFTER - time.time() - 1
            if left < 1:
                raise SystemExit("feeding took too long; give more --minutes")
            time.sleep(left)
            pushed, rounds = herd.pushed(), herd.rounds()
            across = herd.load(programs, seconds, rate)
            is_hidden = lambda status: status["retention"]["hidden"] >= records
            herd.wait_for("both have forgotten all", lambda told: all(map(is_hidden, told)), 300)
            herd.wait_for("both are alike again", are_alike, 300)
            retention = [herd.status(name)["retention"] for name in NODES]
            return {
                "piece": max(told["longest_piece_seconds"] for told in retention),
                "piece_cpu": max(told["longest_piece_cpu_seconds"] for told in retention),
                "pushed": herd.pushed() - pushed,
                "rounds": herd.rounds() - rounds,
                "before": before,
                "across": across,
            }

    return turn


def figures(told):
    return [
        ("longest piece of a walk", "ms", told["piece"] * 1_000),
        ("processor time of a piece at most", "ms", told["piece_cpu"] * 1_000),
        ("records pushed since the step", "", told["pushed"]),
        ("rounds until alike", "", told["rounds"]),
        ("response p99 before the step", "ms", told["before"]["p99_us"] / 1_000),
        ("response p99 across the step", "ms", told["across"]["p99_us"] / 1_000),
        ("p99 across to p99 before", "", told["across"]["p99_us"] / told["before"]["p99_us"]),
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--minutes", type=int, default=10, help="from the first push to the step")
    parser.add_argument("--runs", type=Path, default=ROOT / "bench/runs")
    parser.add_argument("--programs", type=Path, default=ROOT / "target/release", help="the folder of herd and herd-load")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()), help="a folder for logs")
    options = parser.parse_args()
    records, minutes = (20_000, 1) if options.small else (options.records, options.minutes)
    record = Record(options.runs, "expiry", "Each turn is of a herd of its own")
    versions = {name: output(options.programs / name, "--version") for name in ("herd", "herd-load")}
    record.describe(" ".join(["python3 bench/expiry/measure.py", *sys.argv[1:]]), versions)
    turn = expiry(options.programs.resolve(), options.scratch, records, minutes, 3 if options.small else 20, 20_000)
    repeats = Repeats(0 if options.small else REPEATS_SECONDS)
    record.part(f"records={records}", 1 if options.small else 3, {"one step": turn}, figures, repeats)
    record.summary()
    print(record.folder)


if __name__ == "__main__":
    main()
