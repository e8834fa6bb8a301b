"""Finds the entries that stand for one place, and keeps one of each.

GeoNames has some places twice: as a town and as the seat of an administration, under two spellings, from two countings.
It also has real villages of one name a few kilometres apart, with their own populations, and those stay.
"""

import math
import re

from place import Grid, apart_km, plain

# Two entries of one name this near to each other are one place, whatever else they say.
SAME_NAME_KM = 1.0
# So near, a name that the other entry lists as its own is enough.
OTHER_NAME_KM = 0.5
# No town reaches farther from its middle than this, for merging.
TOWN_KM_MAX = 8.0
# A landmark is good to 1 km, and GeoNames may put the middle of a neighborhood elsewhere. Where GeoNames does not say that
# an entry is a neighborhood, it must be nearer, and have fewer people than a town of its own may have.
LANDMARK_KM = 1.5
QUARTER_KM = 0.5
QUARTER_POPULATION_MAX = 25_000
AIRPORT_KM = 2.0

ARRONDISSEMENT = re.compile(r"(Paris|Lyon|Marseille) 0*(\d+)")
BRACKETED = re.compile(r"\s*\([^()]*\)$")


def towns(places):
    """The places of GeoNames without the double entries, and the pairs (kept, left out) that were found."""
    left_out = {}
    pairs = []
    grid = Grid(places)
    # The best known first, so that what is kept is kept for good.
    for one in sorted(places, key=precedence):
        if one["number"] in left_out:
            continue
        for other in sorted(grid.near(one, TOWN_KM_MAX), key=precedence):
            if precedence(other) > precedence(one) and other["number"] not in left_out and is_same_town(one, other):
                left_out[other["number"]] = one
                pairs.append((one, other))
    return [one for one in places if one["number"] not in left_out], pairs


def precedence(one):
    """Orders places by which entry is kept: the more populous, and of equals the older."""
    return -one["population"], one["number"]


def is_same_town(larger, smaller):
    if larger["country"] != smaller["country"]:
        return False
    km = apart_km(larger, smaller)
    populations = larger["population"], smaller["population"]
    is_like = populations[1] == 0 or populations[1] >= 0.9 * populations[0]
    # Twin towns across a state's border have one name, and two town halls.
    is_twin = larger["state"] != smaller["state"] and populations[1] > 0
    if key(larger["name"]) == key(smaller["name"]):
        if km <= SAME_NAME_KM:
            return not is_twin
        is_counted_once = populations[0] > 0 and (is_like or smaller["is_section"])
        return is_counted_once and not is_twin and km <= reach_km(populations[0])
    if BRACKETED.sub("", larger["name"]) == BRACKETED.sub("", smaller["name"]):
        return km <= SAME_NAME_KM and (is_like or populations[1] >= 0.5 * populations[0])
    has_name = plain(larger["name"]) in smaller["other_names"] or plain(smaller["name"]) in larger["other_names"]
    return has_name and is_like and km <= OTHER_NAME_KM


def key(name):
    """Equal for the two spellings GeoNames has of a name; the districts of French cities by their number."""
    arrondissement = ARRONDISSEMENT.match(name)
    return " ".join(arrondissement.groups()) if arrondissement else plain(name)


def reach_km(population):
    """How far from a town's middle its other entry may lie: 1 km for a village, 8 km for a city of 100,000."""
    return min(max(math.sqrt(population) / 40, SAME_NAME_KM), TOWN_KM_MAX)


def beside_landmarks(places, landmarks):
    """The places without those that are a landmark's quarter by name and position: the landmark says more."""
    grid = Grid(places)
    quarters = {
        other["number"]
        for one in landmarks
        for other in grid.near(one, LANDMARK_KM)
        if plain(other["name"]) == plain(one["name"]) and is_quarter(other, apart_km(one, other))
    }
    return [one for one in places if one["number"] not in quarters]


def is_quarter(town, km):
    return town["is_section"] or km <= QUARTER_KM and town["population"] <= QUARTER_POPULATION_MAX


def airports(places):
    """The airports without those listed twice: same name, same place."""
    grid = Grid(places)
    left_out = set()
    for one in sorted(places, key=lambda one: (-one["rank"], one["number"])):
        if one["number"] not in left_out:
            twins = (other for other in grid.near(one, AIRPORT_KM) if plain(other["name"]) == plain(one["name"]))
            left_out |= {other["number"] for other in twins if other is not one}
    return [one for one in places if one["number"] not in left_out]
