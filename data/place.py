"""A place as the scripts beside this file handle it, and how places compare by name and distance."""

import math
import unicodedata

RANK_STEPS = 50
UNITS_PER_DEGREE = 100_000


def place(kind, number, name, vicinity, latitude, longitude, rank):
    """One place; degrees become hundred-thousandths (1.1 m), ranks fiftieths."""
    return {
        "kind": kind,
        "number": number,
        "name": clean(name),
        "vicinity": clean(vicinity),
        "latitude": round(latitude * UNITS_PER_DEGREE),
        "longitude": round(longitude * UNITS_PER_DEGREE),
        "rank": round(min(max(rank, 0.0), 5.0) * RANK_STEPS),
    }


def clean(text):
    """On one line, single-spaced: a newline would end an answer early."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def plain(name):
    """A name without accents, case, spaces and punctuation: equal for two spellings of one name."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return "".join(c for c in letters if c.isalnum())


def apart_km(a, b):
    """The distance between two places; good enough for tens of kilometres."""
    north = (a["latitude"] - b["latitude"]) / UNITS_PER_DEGREE * 111.2
    turn = (a["longitude"] - b["longitude"] + 180 * UNITS_PER_DEGREE) % (360 * UNITS_PER_DEGREE)
    east = (turn / UNITS_PER_DEGREE - 180) * 111.2 * math.cos(math.radians(b["latitude"] / UNITS_PER_DEGREE))
    return math.hypot(north, east)


class Grid:
    """Places by cells of a tenth of a degree, to find those near a point."""

    CELL = UNITS_PER_DEGREE // 10

    def __init__(self, places):
        self.cells = {}
        for one in places:
            self.cells.setdefault(self.cell(one), []).append(one)

    def cell(self, one):
        return one["latitude"] // self.CELL, one["longitude"] // self.CELL

    def near(self, one, km):
        """All places within `km` of `one`, itself included. A circle across the date line is cut there."""
        row, column = self.cell(one)
        rows = math.ceil(km / 11.1)
        columns = math.ceil(rows / max(math.cos(math.radians(one["latitude"] / UNITS_PER_DEGREE)), 0.01))
        for at in ((r, c) for r in range(row - rows, row + rows + 1) for c in range(column - columns, column + columns + 1)):
            yield from (other for other in self.cells.get(at, ()) if apart_km(other, one) <= km)
