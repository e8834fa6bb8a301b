"""What both Python models share: the fields of a line, the skew, the cut, the log and the command line."""

import argparse
import gc
import json
import os
import re
import time
from decimal import Decimal
from pathlib import Path

BACKLOG = 4096
LINE_BYTES = 16 * 1024
SHOWN_BYTES = 64  # of a line that is too long
OUTBOX_BYTES = 8 * 1024 * 1024  # for one peer; what finds no room is lost
LOG_BYTES = 64 * 1024
RETRY_SECONDS = 1
LOOKUP_SECONDS = 6
DRAIN_SECONDS = 10

LATITUDE = rb"[+-](?:0?[0-8]?[0-9](?:\.[0-9]+)?|0?90(?:\.0+)?)"
LONGITUDE = rb"[+-](?:(?:0?[0-9]?[0-9]|1[0-7][0-9])(?:\.[0-9]+)?|180(?:\.0+)?)"
LOCATION = re.compile(rb"(%b)(%b)/?" % (LATITUDE, LONGITUDE)).fullmatch
TIMESTAMP = re.compile(rb"([0-9]{1,12})(?:\.([0-9]{1,9}))?").fullmatch
SKEW = re.compile(rb"[+-](?:0|[1-9][0-9]{0,12})\.[0-9]{9}").fullmatch
RADIUS = re.compile(rb"0*(?:[0-4]?[0-9](?:\.[0-9]+)?|50(?:\.0+)?)").fullmatch
BOUND = re.compile(rb"0*(?:1?[0-9]|20)").fullmatch
RESULTS = re.compile(r'"results"\s*:\s*\[')
EMPTY_LINES = re.compile(r"\n[\r\n]+")
SPACE = re.compile(r"[ \t\r\n]*")
UNPRINTABLE = re.compile(rb"[^ -\[\]-~]")
FAILED = '{"error_message":"The upstream has failed.","results":[],"status":"UNKNOWN_ERROR"}'
decode_json = json.JSONDecoder().raw_decode


def nanoseconds(match):
    seconds, fraction = match.groups()
    return int(seconds) * 1_000_000_000 + (int(fraction.ljust(9, b"0")) if fraction else 0)


def skew(difference):
    seconds, rest = divmod(abs(difference), 1_000_000_000)
    return b"%c%d.%09d" % (b"-" if difference < 0 else b"+", seconds, rest)


def plain(number):
    return format(Decimal(number).normalize(), "f")


def target(location, radius):
    """What the upstream is asked."""
    latitude, longitude = (plain(text.decode()) for text in LOCATION(location).groups())
    metres = plain(max(Decimal(radius.decode()) * 1000, 1))
    return f"/maps/api/place/nearbysearch/json?location={latitude},{longitude}&radius={metres}&key=bench"


def cut(body, bound):
    """The document with its first results, every byte of them as it came; and how many those are."""
    text = EMPTY_LINES.sub("\n", body.decode("latin-1").strip("\r\n"))
    end = head = RESULTS.search(text).end()
    count = 0
    while text[(at := SPACE.match(text, end).end())] != "]":
        at = SPACE.match(text, at + 1).end() if count else at
        end = decode_json(text, at)[1]
        count += 1
        if count <= bound:
            head = end
    if count and not bound:
        end = at
    return text[:head] + text[end:], min(count, bound)


class Log:
    """Lines wait in memory and are written some at a time, at the latest after a second."""

    def __init__(self, path):
        self.file = open(path, "ab", buffering=0) if path else None
        self.lines, self.size, self.second, self.prefix = [], 0, None, ""

    def traffic(self, *lines):
        """Of one batch: the first has the time."""
        if not self.file:
            return
        now = time.time_ns() // 1000
        second, micros = divmod(now, 1_000_000)
        if second != self.second:
            self.second, self.prefix = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        text = b"\n".join(UNPRINTABLE.sub(escape, line) for line in lines)
        self.lines.append(b"%b.%06dZ %b\n" % (self.prefix.encode(), micros, text))
        self.size += len(text)
        if self.size > LOG_BYTES:
            self.flush()

    def flush(self):
        if self.lines:
            self.file.write(b"".join(self.lines))
        self.lines, self.size = [], 0


def escape(match):
    return b"\\\\" if match[0] == b"\\" else b"\\x%02x" % match[0][0]


def tell_pauses(path):
    """Writes a line for each garbage collection: seconds since the process began, and the milliseconds that it took."""
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    began = int(stat[19]) / os.sysconf("SC_CLK_TCK")  # since the system's start
    file, start = open(path, "w", buffering=1), 0

    def tell(phase, _):
        nonlocal start
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        if phase == "start":
            start = now
        else:
            file.write(f"{start - began:.6f} {(now - start) * 1e3:.3f}\n")

    gc.callbacks.append(tell)


def options(*flags):
    """The command line that all models have, that of both in Python, and this one's own flags."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--id", required=True)
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--peer", action="append", default=[], metavar="ID=HOST:PORT")
    parser.add_argument("--upstream", metavar="URL")
    parser.add_argument("--log", metavar="FILE")
    parser.add_argument("--pauses", metavar="FILE")
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args()
    if options.pauses:
        tell_pauses(options.pauses)
    return options


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)
