#!/usr/bin/env python3
"""Draws docs/herd.svg from what the program itself prints: its nodes, one report, one question, and the verdict.

    docs/picture/draw.py target/release/herd > docs/herd.svg

It starts `herd up` on ports of its own, sends the two lines, asks for the status, and stops the herd again.
"""

import html
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import tomllib

WIDTH, HEIGHT = 880, 430
CENTER, RADIUS, NODE_RADIUS = (222, 226), 136, 40
TERMINAL = (452, 20, 408, 390)
PORT_MIN, PORT_SHIFT = 11600, 9600

INK, PAPER, LINE = "#1f2933", "#ffffff", "#9aa5b1"
REPORT, QUESTION, QUIET = "#c2410c", "#1d4ed8", "#52606d"

CLIENT, POSITION = "me", "+48.8566+002.3522"


def configuration(herd):
    """The herd built into the program, as the program prints it, moved to ports of its own."""
    text = subprocess.run([herd, "check-config"], check=True, capture_output=True, text=True).stdout
    return re.sub(r":(11[67]\d\d)\b", lambda port: f":{int(port[1]) + PORT_SHIFT}", text)


def nodes_and_links(config):
    """The nodes' names and first addresses, in the file's order, and each link once."""
    nodes = tomllib.loads(config)["node"]
    addresses = {node["id"]: node["listen"] for node in nodes}
    links = {tuple(sorted((node["id"], other))) for node in nodes for other in node.get("links", [])}
    return addresses, sorted(links)


def ask(herd, config, *arguments):
    """What the program prints for these arguments."""
    command = [herd, *arguments, "--config", config]
    return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout


def hops(names, links, start):
    """How many links each node is away from the one that takes the report."""
    distance, edge = {start: 0}, [start]
    while edge:
        near = {b for a in edge for link in links if a in link for b in link} - distance.keys()
        distance.update({name: distance[edge[0]] + 1 for name in near})
        edge = sorted(near)
    assert distance.keys() == set(names)
    return distance


def play(herd):
    """Runs the herd; gives its nodes, links, and what the commands printed."""
    text = configuration(herd)
    addresses, links = nodes_and_links(text)
    first = next(iter(addresses))
    distance = hops(addresses, links, first)
    last = max(addresses, key=lambda name: (distance[name], name))
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "herd.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
        up = [herd, "up", "--config", config, "--log-dir", os.path.join(folder, "logs")]
        with subprocess.Popen(up, stdout=subprocess.PIPE, text=True) as running:
            try:
                while "Ctrl-C ends the herd" not in (line := running.stdout.readline()):
                    assert line, "the herd did not come up"
                report = f"IAMAT {CLIENT} {POSITION} {int(time.time())}"
                question = f"WHATSAT {CLIENT} 10 3"
                told = ask(herd, config, "send", first, report)
                answer = ask(herd, config, "send", last, question)
                status = ask(herd, config, "status")
            finally:
                running.send_signal(signal.SIGTERM)
                running.stdout.read()
    addresses = {name: re.sub(r"\d+$", lambda port: str(int(port[0]) - PORT_SHIFT), at) for name, at in addresses.items()}
    return addresses, links, distance, (first, report, told), (last, question, answer), status


def transcript(first, report, told, last, question, answer, status):
    """The lines of the terminal: (colour, text)."""
    lines = [(QUIET, f"$ herd send {first} \\"), (REPORT, f"    '{report}'")]
    words = told.split()
    lines += [(INK, " ".join(words[:4])), (INK, "   " + " ".join(words[4:])), (INK, "")]
    lines += [(QUIET, f"$ herd send {last} '{question}'")]
    words = answer.split("\n", 1)[0].split()
    lines += [(QUESTION, " ".join(words[:4])), (QUESTION, "   " + " ".join(words[4:]))]
    names = re.findall(r'^ *"name" : "(.*)",?$', answer, re.MULTILINE)
    lines += [(INK, '{ "results" : [')]
    lines += [(INK, f'   {{ "name" : "{name}", … }},') for name in names]
    lines += [(INK, "  … ] }"), (INK, ""), (QUIET, "$ herd status")]
    lines += [(INK, line) for line in status.splitlines()[: 1 + len(re.findall(r" running ", status))]]
    return lines + [(INK, "…"), (INK, status.splitlines()[-1])]


def text(x, y, content, size, colour, anchor="middle", family="sans", weight="normal"):
    """One text of the drawing."""
    fonts = {"sans": "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif", "mono": "ui-monospace, 'DejaVu Sans Mono', monospace"}
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-family="{fonts[family]}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}" font-weight="{weight}" xml:space="preserve">{html.escape(content)}</text>'
    )


def arrow(begin, end, colour, from_gap, to_gap, dashes=""):
    """A line with a head at its end, and gaps at both."""
    (x1, y1), (x2, y2) = begin, end
    length = math.dist(begin, end)
    ux, uy = (x2 - x1) / length, (y2 - y1) / length
    x1, y1, x2, y2 = x1 + ux * from_gap, y1 + uy * from_gap, x2 - ux * to_gap, y2 - uy * to_gap
    dash = f' stroke-dasharray="{dashes}"' if dashes else ""
    head = " ".join(f"{x2 - ux * 9 + side * uy * 5:.1f},{y2 - uy * 9 - side * ux * 5:.1f}" for side in (1, -1))
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2 - ux * 6:.1f}" y2="{y2 - uy * 6:.1f}" stroke="{colour}" stroke-width="2.5"{dash}/>'
        f'<polygon points="{x2:.1f},{y2:.1f} {head}" fill="{colour}"/>'
    )


def draw(addresses, links, distance, reported, asked, status):
    """The whole drawing."""
    (first, report, told), (last, question, answer) = reported, asked
    # The nodes go round in the order of their distance along both ways, so that no two links cross.
    order, rest = [first], set(addresses) - {first}
    while rest:
        near = sorted(name for name in rest if tuple(sorted((order[-1], name))) in links)
        order.append(near[0] if near else sorted(rest)[0])
        rest.discard(order[-1])
    angle = {name: math.tau * (index / len(order) - 5 / 12) for index, name in enumerate(order)}
    at = {name: (CENTER[0] + RADIUS * math.cos(a), CENTER[1] + RADIUS * math.sin(a)) for name, a in angle.items()}

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">',
        f"<title>Five nodes: a report at {first} floods to all, and {last} answers a question</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="{PAPER}" stroke="#d9e2ec"/>',
    ]
    for a, b in links:
        a, b = sorted((a, b), key=lambda name: distance[name])
        if distance[a] == distance[b]:
            (x1, y1), (x2, y2) = at[a], at[b]
            out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{LINE}" stroke-width="2"/>')
        else:
            out.append(arrow(at[a], at[b], REPORT, NODE_RADIUS, NODE_RADIUS + 2))
            middle = [(p + q) / 2 for p, q in zip(at[a], at[b])]
            away = [m + (m - c) * 0.16 for m, c in zip(middle, CENTER)]
            out.append(text(away[0], away[1] + 4, "AT", 12, REPORT, weight="bold"))
    for name, (x, y) in at.items():
        colour = {first: REPORT, last: QUESTION}.get(name, LINE)
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{NODE_RADIUS}" fill="{PAPER}" stroke="{colour}" stroke-width="2.5"/>')
        out.append(text(x, y + 1, name, 14, INK, weight="bold"))
        out.append(text(x, y + 17, ":" + addresses[name].rsplit(":", 1)[1], 11, QUIET, family="mono"))

    out.append(text(20, 36, "IAMAT: a client reports where it is, to any node", 12.5, REPORT, anchor="start"))
    out.append(arrow((44, 46), at[first], REPORT, 0, NODE_RADIUS + 3))
    out.append(text(432, HEIGHT - 16, "WHATSAT: any node answers what is near a client", 12.5, QUESTION, anchor="end"))
    out.append(arrow((410, HEIGHT - 32), at[last], QUESTION, 0, NODE_RADIUS + 3, "5 4"))

    left, top, wide, high = TERMINAL
    out.append(f'<rect x="{left}" y="{top}" width="{wide}" height="{high}" rx="8" fill="#f5f7fa" stroke="#d9e2ec"/>')
    lines = transcript(first, report, told, last, question, answer, status)
    step = min(17.0, (high - 22) / len(lines))
    for index, (colour, line) in enumerate(lines):
        out.append(text(left + 14, top + 22 + index * step, line, 11, colour, anchor="start", family="mono"))
    return "\n".join([*out, "</svg>", ""])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.stdout.write(draw(*play(os.path.abspath(sys.argv[1]))))
