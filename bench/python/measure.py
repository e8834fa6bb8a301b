"""Python's lock, its memory and its collector, beside Java's and Node.js': writes the run folder bench/runs/DATE-python.

    target/models/bin/python bench/python/measure.py                     about five minutes, on a quiet machine
    target/models/bin/python bench/python/measure.py --small --runs /tmp  some seconds, to see that it works

Each figure is of a process of its own. Those of one part take turns, forwards and backwards, so that none is always
the first. Turns in which the host or other processes took much of the machine are taken again; what the
least disturbed one told counts, and is marked if that was disturbed, too.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path("bench/python")
CLASSES = Path("target/java-compare")
MAX_STEAL, MAX_FOREIGN, TRIES = 0.02, 0.05, 3
REPEATS_SECONDS = 60  # in all


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


class Machine:
    """What the machine did between two looks: the host's share of its time, and that of other processes."""

    def __init__(self):
        self.ticks, self.own = self.look()

    @staticmethod
    def look():
        with open("/proc/stat") as file:
            ticks = [int(field) for field in file.readline().split()[1:9]]
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ticks, used.ru_utime + used.ru_stime

    def since(self):
        ticks, own = self.look()
        user, nice, system, idle, waiting, irq, soft, steal = (new - old for new, old in zip(ticks, self.ticks))
        whole = user + nice + system + idle + waiting + irq + soft + steal or 1
        spent = (own - self.own) * os.sysconf("SC_CLK_TCK")
        foreign = max(0, user + nice + system + irq + soft - spent) / whole
        disturbed = steal / whole > MAX_STEAL or foreign > MAX_FOREIGN
        return {"steal": steal / whole, "foreign": foreign, "disturbed": disturbed}


class Repeats:
    """How much time is left for turns that are taken again."""

    def __init__(self, seconds):
        self.seconds = seconds

    def are_left(self):
        return self.seconds > 0

    def spend(self, seconds):
        self.seconds -= seconds


def take(command, repeats):
    """What a command told, and how disturbed the machine was: the least disturbed of some tries."""
    best = None
    for repeat in range(TRIES):
        begin = time.monotonic()
        machine = Machine()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        disturbance = machine.since()
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: {done.stderr}")
        told = json.loads(done.stdout.splitlines()[-1])
        if best is None or rank(disturbance) < rank(best[1]):
            best = told, disturbance
        if repeat:
            repeats.spend(time.monotonic() - begin)
        if not disturbance["disturbed"] or not repeats.are_left():
            break
    return best


def rank(disturbance):
    """The lower, the better."""
    return disturbance["disturbed"], disturbance["steal"] + disturbance["foreign"]


class Record:
    """The run folder. Each figure is written as soon as it is there."""

    def __init__(self, folder):
        folder.mkdir(parents=True)
        self.folder, self.file = folder, open(folder / "raw.jsonl", "w", buffering=1)
        self.values, self.disturbed, self.turns = {}, 0, 0

    def part(self, part, rounds, turns, figures, repeats):
        for number in range(1, rounds + 1):
            names = list(turns) if number % 2 else list(turns)[::-1]
            for name in names:
                told, disturbance = take(turns[name], repeats)
                self.turns += 1
                self.disturbed += disturbance["disturbed"]
                for what, unit, value in figures(told):
                    self.figure(number, part, name, what, unit, value, disturbance)
            print(f"{time.strftime('%H:%M:%S')} {part}, round {number} of {rounds}", file=sys.stderr)

    def figure(self, number, part, server, what, unit, value, disturbance):
        line = {
            "round": number, "part": part, "server": server, "what": what, "unit": unit, "value": value,
            "better": "more" if unit == "/s" else "less", "at": {}, "target": None, "invalid": None,
            "disturbance": disturbance,
        }
        self.file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self.values.setdefault(part, {}).setdefault(server, {}).setdefault((what, unit), []).append(value)

    def summary(self):
        """Medians, with the quartiles where there are several rounds."""
        text = [
            "# python\n",
            "Each figure is of a process of its own; medians over the rounds (lower to upper quartile). "
            f"{self.disturbed} of {self.turns} turns were disturbed, even the best of their tries: the host took more than "
            f"{MAX_STEAL:.0%} of the machine, or other processes more than {MAX_FOREIGN:.0%}. A turn is taken {TRIES} times "
            f"at most, and all repeats together take a minute.\n",
        ]
        for part, servers in self.values.items():
            whats = list(dict.fromkeys(what for figures in servers.values() for what in figures))
            text.append(f"## {part}\n")
            text.append("| | " + " | ".join(f"{what}, {unit}" if unit else what for what, unit in whats) + " |")
            text.append("|---|" + "---:|" * len(whats))
            for server, figures in servers.items():
                cells = [spread(figures[what]) if what in figures else "–" for what in whats]
                text.append(f"| {server} | " + " | ".join(cells) + " |")
            text.append("")
        (self.folder / "summary.md").write_text("\n".join(text))


def quantile(values, share):
    """Between the values, as R's default and numpy's."""
    ordered = sorted(values)
    whole, part = divmod(share * (len(ordered) - 1), 1)
    low = ordered[int(whole)]
    return low + part * (ordered[min(int(whole) + 1, len(ordered) - 1)] - low)


def spread(values):
    low, middle, high = (f"{quantile(values, share):.4g}" for share in (0.25, 0.5, 0.75))
    low, middle, high = (f"{float(text):,.10g}" for text in (low, middle, high))
    return middle if low == high else f"{middle} ({low} to {high})"


def output(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return (done.stdout + done.stderr).partition("\n")[0].strip()


def describe(folder, arguments):
    """What was run, with what, where."""
    with open("/proc/cpuinfo") as file:
        cpu = next(line.split(": ")[1].strip() for line in file if line.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    command = " ".join(["target/models/bin/python bench/python/measure.py", *arguments])
    (folder / "command.txt").write_text(command + "\n")
    (folder / "machine.txt").write_text(
        f"cpu: {cpu}\ncores: {os.cpu_count()}\nmemory: {memory:.1f} GiB\nload before the run (1 min): {load:.2f}\n"
    )
    from twisted import __version__ as twisted

    dirty = ", with changes" if output("git", "status", "--porcelain", "--untracked-files=no", "--", "bench") else ""
    (folder / "versions.txt").write_text(
        f"python: Python {platform.python_version()}\ntwisted: {twisted}\nnodejs: {output('node', '--version')}\n"
        f"java: {output('java', '--version')}\nrevision: {output('git', 'rev-parse', 'HEAD')}{dirty}\n"
        f"kernel: Linux {platform.release()}\n"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--runs", type=Path, default=ROOT / "bench/runs")
    options = parser.parse_args()
    small = options.small
    folder = options.runs / f"{datetime.date.today()}-python"
    sources = [*(ROOT / HERE / "compare").glob("*.java"), ROOT / "bench/java/Rules.java"]
    subprocess.run(["javac", "-d", CLASSES, *sources], cwd=ROOT, check=True)
    record = Record(folder)
    describe(folder, sys.argv[1:])
    rounds, repeats, never = 2 if small else 10, Repeats(0 if small else REPEATS_SECONDS), Repeats(0)
    record.part("lock", rounds, lock_turns(small), lock_figures, repeats)
    record.part("wake", rounds // 2, wake_turns(20 if small else 300), wake_figures, repeats)
    for clients in (1_000, 2_000) if small else (100_000, 1_000_000):
        record.part(f"clients={clients}", rounds // 2, heap_turns(clients), heap_figures, repeats)
    # These count, and take no time: other processes do not change them.
    record.part("dropped", 1, dropped_turns(200 if small else 10_000), dropped_figures, never)
    record.part("closed", 1, closed_turns(100 if small else 1_000), closed_figures, never)
    record.summary()
    print(folder)


if __name__ == "__main__":
    main()
