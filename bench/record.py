"""Run folders of what scripts measure: turns are repeated where the machine was disturbed, and every figure has beside it
what else the machine did.
"""

import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_STEAL, MAX_FOREIGN, TRIES = 0.02, 0.05, 3
REPEATS_SECONDS = 60  # in all


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


def take(turn, repeats):
    """What a turn told, and how disturbed the machine was: the least disturbed of some tries."""
    best = None
    for repeat in range(TRIES):
        begin = time.monotonic()
        machine = Machine()
        told = turn()
        disturbance = machine.since()
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

    def __init__(self, runs, what, about):
        """`about`: what the summary says of each figure."""
        folder = runs / f"{datetime.date.today()}-{what}"
        folder.mkdir(parents=True)
        self.folder, self.file = folder, open(folder / "raw.jsonl", "w", buffering=1)
        self.what, self.about = what, about
        self.values, self.disturbed, self.turns = {}, 0, 0

    def describe(self, command, versions):
        """What was run, with what, where."""
        with open("/proc/cpuinfo") as file:
            cpu = next(line.split(": ")[1].strip() for line in file if line.startswith("model name"))
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        load = os.getloadavg()[0]
        (self.folder / "command.txt").write_text(command + "\n")
        (self.folder / "machine.txt").write_text(
            f"cpu: {cpu}\ncores: {os.cpu_count()}\nmemory: {memory:.1f} GiB\nload before the run (1 min): {load:.2f}\n"
        )
        dirty = ", with changes" if output("git", "status", "--porcelain", "--untracked-files=no", "--", "bench") else ""
        revision = {"revision": output("git", "rev-parse", "HEAD") + dirty, "kernel": f"Linux {platform.release()}"}
        lines = [f"{name}: {version}\n" for name, version in {**versions, **revision}.items()]
        (self.folder / "versions.txt").write_text("".join(lines))

    def part(self, part, rounds, turns, figures, repeats):
        """`turns` by name, which take each other's turns; `figures` makes names, units and values of what one told."""
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
            f"# {self.what}\n",
            f"{self.about}; medians over the rounds (lower to upper quartile). "
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
