"""Reads landmarks.tsv and refuses what cannot be right in it: a landmark far from its town, a landmark listed twice.

A heading names the town that the landmarks below it belong to, with the country's code: `## Paris, FR`. Each of them
lies within 40 km of the town, by the coordinates GeoNames has for it; of several towns of the name the most populous is
meant, or that of a state: `## Princeton, US-NJ`. Where there is no town, the heading gives the box that they lie in,
south..north west..east: `## Ross Island, AQ: -78.0..-77.4 166.0..169.5`.
"""

import re

from place import Grid, apart_km, place, plain

TOWN_KM = 40.0
# Two landmarks nearer than this are taken for one that was typed twice.
APART_KM = 0.05
RANKS = (1.0, 5.0)

# Google's types that a landmark may have.
TYPES = {
    "airport", "amusement_park", "aquarium", "art_gallery", "casino", "cemetery", "church", "city_hall", "establishment",
    "food", "health", "hindu_temple", "hospital", "library", "local_government_office", "lodging", "mosque",
    "movie_theater", "museum", "natural_feature", "night_club", "park", "place_of_worship", "route", "shopping_mall",
    "stadium", "store", "synagogue", "tourist_attraction", "train_station", "transit_station", "university", "zoo",
}

HEADING = re.compile(r"## (?P<town>[^:]+), (?P<country>[A-Z]{2})(?:-(?P<state>\w+))?(?:: (?P<box>.+))?")
BOX = re.compile(r"(-?[\d.]+)\.\.(-?[\d.]+) (-?[\d.]+)\.\.(-?[\d.]+)")


class Wrong(Exception):
    """What is wrong with landmarks.tsv, and in which line."""


def read(path, towns):
    """The landmarks of the file. `towns` are the places of GeoNames, each with its country and population."""
    by_name = {}
    for town in towns:
        by_name.setdefault((plain(town["name"]), town["country"]), []).append(town)
    landmarks = []
    is_inside = None
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            if line.startswith("## "):
                is_inside = area(line, by_name)
            elif not line.startswith("#"):
                landmarks.append(landmark(line, is_inside))
        except (Wrong, ValueError) as wrong:
            raise Wrong(f"{path.name}:{number}: {wrong}") from None
    refuse_twins(landmarks)
    return landmarks


def area(heading, by_name):
    """The check that a heading asks for: whether a landmark is where it should be."""
    parts = HEADING.fullmatch(heading)
    if not parts:
        raise Wrong("not a heading: write ## Town, CC")
    if parts["box"]:
        box = BOX.fullmatch(parts["box"])
        if not box:
            raise Wrong("not a box: write ## Name, CC: SOUTH..NORTH WEST..EAST")
        south, north, west, east = (float(edge) * 100_000 for edge in box.groups())
        return lambda one: south <= one["latitude"] <= north and west <= one["longitude"] <= east
    found = by_name.get((plain(parts["town"]), parts["country"]), [])
    found = [town for town in found if parts["state"] in (None, town["state"])]
    if not found:
        raise Wrong(f"GeoNames has no town {heading[3:]}")
    town = max(found, key=lambda town: (town["population"], -town["number"]))
    return lambda one: apart_km(one, town) <= TOWN_KM


def landmark(line, is_inside):
    fields = line.split("\t")
    if len(fields) != 6:
        raise Wrong(f"{len(fields)} fields: write name, latitude, longitude, types, vicinity, rank, with tabs between")
    name, latitude, longitude, types, vicinity, rank = fields
    # The number is unused: a landmark's id is made from its name.
    one = place(("landmark", all_types(types)), 0, name, vicinity, float(latitude), float(longitude), float(rank))
    if not slug(name) or not vicinity:
        raise Wrong(f"{name}: a name needs a letter or digit of ASCII for its id, and a vicinity")
    if not RANKS[0] <= float(rank) <= RANKS[1]:
        raise Wrong(f"{name}: the rank {rank} is not from 1 to 5")
    if is_inside is None or not is_inside(one):
        raise Wrong(f"{name} is not where its heading says")
    return one


def all_types(types):
    """The types of a line, closed by the general ones that Google's answers close with."""
    types = types.split(",")
    unknown = [kind for kind in types if kind not in TYPES]
    if unknown:
        raise Wrong(f"unknown types: {', '.join(unknown)}")
    types = [kind for kind in types if kind != "establishment"]
    general = {"route": [], "natural_feature": ["establishment"]}
    last = general.get(types[0] if types else "", ["point_of_interest", "establishment"])
    return ",".join(types + last)


def slug(name):
    """What build.rs makes of a landmark's name."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in name).lower().split()
    return "-".join(words)


def refuse_twins(landmarks):
    ids = {}
    for one in landmarks:
        other = ids.setdefault(slug(one["name"]), one)
        if other is not one:
            raise Wrong(f"two landmarks have the id of {one['name']}")
    # Spelt differently enough for two ids, but the same.
    names = {}
    for one in landmarks:
        other = names.setdefault(plain(one["name"]), one)
        if other is not one:
            raise Wrong(f"{one['name']} is there twice")
    grid = Grid(landmarks)
    for one in landmarks:
        for other in grid.near(one, APART_KM):
            if other is not one:
                raise Wrong(f"{one['name']} and {other['name']} are less than {APART_KM * 1000:.0f} m apart")
