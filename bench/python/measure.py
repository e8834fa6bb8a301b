"""Python's lock, its memory and its collector, beside Java's and Node.js': writes the run folder bench/runs/DATE-python.

    target/models/bin/python bench/python/measure.py                     about five minutes, on a quiet machine
    target/models/bin/python bench/python/measure.py --small --runs /tmp  some seconds, to see that it works

Each figure is of a process of its own. Those of one part take turns, forwards and backwards, so that none is always
the first. Turns in which the host or other processes took much of the machine are taken again; what the
least disturbed one told counts, and is marked if that was disturbed, too.
"""

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from record import REPEATS_SECONDS, Record, Repeats, output

HERE = Path("bench/python")
CLASSES = Path("target/java-compare")


def lock_turns(small):
    """By name: a command, and how its figures are called."""
    count = str(20_000 if small else 300_000)
    python = [sys.executable, str(HERE / "lock.py")]
    java = ["java", "-cp", str(CLASSES), "Threads"]
    node = ["env", f"LINES={count}", "node", str(HERE / "compare/workers.js")]
    return {
        "Python, 1 thread": [*python, "threads", "1", count],
        "Python, 2 threads": [*python, "threads", "2", count],
        "Python, 2 processes": [*python, "processes", "2", count],
        "Java, 1 thread": [*java, "1", count],
        "Java, 2 threads": [*java, "2", count],
        "Node.js, 1 worker": [*node[:1], "WORKERS=1", *node[1:]],
        "Node.js, 2 workers": [*node[:1], "WORKERS=2", *node[1:]],
    }


def wake_turns(count):
    python = [sys.executable, str(HERE / "lock.py"), "wakes"]
    return {f"beside {workers} threads": [*python, str(workers), str(count)] for workers in (0, 1, 2)}


def heap_turns(clients):
    python = [sys.executable, str(HERE / "memory.py"), "heap"]
    return {
        "Python, tuples": [*python, "tuple", str(clients)],
        "Python, objects": [*python, "object", str(clients)],
        "Java": ["java", "-cp", str(CLASSES), "Heap", str(clients)],
        "Node.js": ["env", f"CLIENTS={clients}", "node", "--expose-gc", str(HERE / "compare/heap.js")],
    }


def dropped_turns(count):
    python = [sys.executable, str(HERE / "memory.py"), "dropped"]
    return {
        f"{shape}, collector {collector}": [*python, shape, collector, str(count)]
        for shape in ("plain", "cycle")
        for collector in ("on", "off")
    }


def closed_turns(count):
    python = [sys.executable, str(HERE / "memory.py"), "closed"]
    return {
        f"{framework}{', failed' if ends else ''}": [*python, framework + ends, str(count)]
        for framework in ("asyncio", "twisted")
        for ends in ("", "-failed")
    }


def lock_figures(told):
    return [("rate", "/s", told["lines"] / told["seconds"])]


def wake_figures(told):
    return [("late p50", "ms", told["late_ms"]), ("late p99", "ms", told["late_p99_ms"])]


def heap_figures(told):
    names = {
        "bytes": ("bytes a client", "bytes"),
        "full_ms": ("full collection", "ms"),
        "longest_ms": ("longest pause", "ms"),
        "share": ("share of the time", ""),
        "full_collections": ("full collections", ""),
    }
    return [(*names[key], told[key]) for key in names if key in told]


def dropped_figures(told):
    return [("most at once", "connections", told["most"]), ("left", "connections", told["left"])]


def closed_figures(told):
    return [("left", "connections", told["left"]), ("left after a collection", "connections", told["after"])]


def command(words):
    """A turn: what a command's last line tells."""

    def turn():
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: {done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    return turn


def commands(turns):
    return {name: command(words) for name, words in turns.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--runs", type=Path, default=ROOT / "bench/runs")
    options = parser.parse_args()
    small = options.small
    sources = [*(ROOT / HERE / "compare").glob("*.java"), ROOT / "bench/java/Rules.java"]
    subprocess.run(["javac", "-d", CLASSES, *sources], cwd=ROOT, check=True)
    record = Record(options.runs, "python", "Each figure is of a process of its own")
    from twisted import __version__ as twisted

    versions = {
        "python": f"Python {platform.python_version()}",
        "twisted": twisted,
        "nodejs": output("node", "--version"),
        "java": output("java", "--version"),
    }
    record.describe(" ".join(["target/models/bin/python bench/python/measure.py", *sys.argv[1:]]), versions)
    rounds, repeats, never = 2 if small else 10, Repeats(0 if small else REPEATS_SECONDS), Repeats(0)
    record.part("lock", rounds, commands(lock_turns(small)), lock_figures, repeats)
    record.part("wake", rounds // 2, commands(wake_turns(20 if small else 300)), wake_figures, repeats)
    for clients in (1_000, 2_000) if small else (100_000, 1_000_000):
        record.part(f"clients={clients}", rounds // 2, commands(heap_turns(clients)), heap_figures, repeats)
    # These count, and take no time: other processes do not change them.
    record.part("dropped", 1, commands(dropped_turns(200 if small else 10_000)), dropped_figures, never)
    record.part("closed", 1, commands(closed_turns(100 if small else 1_000)), closed_figures, never)
    record.summary()
    print(record.folder)


if __name__ == "__main__":
    main()
