"""Checks what a run says of its latencies, as JSON, against what its HdrHistogram log holds."""

import json
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

TEN_MINUTES_NS = 600_000_000_000


def read(log):
    whole = HdrHistogram(1, TEN_MINUTES_NS, 3)
    reader = HistogramLogReader(log, HdrHistogram(1, TEN_MINUTES_NS, 3))
    while (second := reader.get_next_interval_histogram()) is not None:
        whole.add(second)
    return whole


def main(log, result):
    whole = read(log)
    with open(result, encoding="utf-8") as file:
        said = json.load(file)
    steps = [(step.value_iterated_to / 1e3, step.total_count_to_this_value) for step in whole.get_recorded_iterator()]
    total = whole.get_total_count()
    assert total == said["replies"], (total, said["replies"])
    met = said["service"]
    named = {"p50_us": 0.5, "p90_us": 0.9, "p95_us": 0.95, "p99_us": 0.99, "p999_us": 0.999}
    ranks = [(met[name], quantile, None) for name, quantile in named.items()]
    ranks += [(row["us"], row["quantile"], row["replies"]) for row in said["spectrum"]]
    for us, quantile, replies in ranks:
        at = next(number for number, (value, _) in enumerate(steps) if abs(value - us) < 1e-3)
        below = steps[at - 1][1] if at else 0
        within = steps[at][1]
        assert below <= quantile * total <= within, (us, quantile, below, within)
        assert replies in (None, within), (us, replies, within)
    for name, ns in (("mean_us", whole.get_mean_value()), ("stdev_us", whole.get_stddev()), ("max_us", whole.get_max_value())):
        assert abs(met[name] - ns / 1e3) <= 1e-6 * met[name], (name, met[name], ns)
    print(f"{len(ranks)} percentiles of {total} replies")


main(*sys.argv[1:])
