"""Which tool finds which fault before a program runs: the same faults in Python, Java and Rust.

    python bench/report/faults/check.py            the table; fails if a tool finds other faults than the files say
    python bench/report/faults/check.py --run      writes it to bench/runs/DATE-faults, too

Each folder beside this file holds one fault, on the line that ends in `fault`, in Python, Java and Rust. With what follows
`instead:` in its place no tool finds anything: so whatever one finds is the fault. mypy sees the Python with its annotations
and without them. It is the mypy of the Python that runs this: requirements.txt beside this file.
"""

import ast
import datetime
import itertools
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
FAULT = re.compile(r"^( *).*(?://|#) fault\n *(?://|#) instead: (.*)$", re.MULTILINE)
INSTEAD = re.compile(r"^ *(?://|#) instead: .*\n", re.MULTILINE)


# Of this run only: what another Python's mypy has left must not decide.
CACHE = tempfile.TemporaryDirectory()


def mended(text):
    text, count = FAULT.subn(r"\1\2", text)
    assert count == 1, text
    return text


def plain(text):
    """Without annotations, every line where it was."""
    lines = text.splitlines()
    spans = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.arg) and node.annotation:
            spans.append((node.lineno, node.col_offset + len(node.arg), node.annotation.end_col_offset))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns:
            begin = lines[node.returns.lineno - 1].rindex(" ->", 0, node.returns.col_offset)
            spans.append((node.returns.lineno, begin, node.returns.end_col_offset))
    for number, begin, end in sorted(spans, reverse=True):
        lines[number - 1] = lines[number - 1][:begin] + lines[number - 1][end:]
    return "\n".join(lines) + "\n"


def run(folder, *command):
    """Whether it found something; what it said."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode in (0, 1), f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.returncode == 1, done.stdout + done.stderr


def cpython(folder):
    return run(folder, sys.executable, "-c", "import fault")


def mypy(*flags):
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", CACHE.name, *flags, "fault.py"]
    return lambda folder: run(folder, *command)


def javac(folder):
    return run(folder, "javac", "-d", "classes", "Fault.java")


def rustc(folder):
    command = [os.environ.get("RUSTC", "rustc"), "--edition", "2024", "--emit=metadata", "--cap-lints=allow"]
    return run(folder, *command, "--out-dir", "classes", "fault.rs")


# Each version of a file has another.
TIMES = itertools.count(1_000_000_000)

# By name: which file it reads, what is made of its text first, and how it is run.
TOOLS = {
    "CPython": ("fault.py", str, cpython),
    "mypy, not annotated": ("fault.py", plain, mypy()),
    "mypy --check-untyped-defs, not annotated": ("fault.py", plain, mypy("--check-untyped-defs")),
    "mypy --strict": ("fault.py", str, mypy("--strict")),
    "javac": ("Fault.java", str, javac),
    "rustc": ("fault.rs", str, rustc),
}


def finds(tool, fault):
    """Whether the tool finds the fault; nothing else may be there to find."""
    name, made, find = TOOLS[tool]
    text = (fault / name).read_text()
    found = []
    for version in (INSTEAD.sub("", text), mended(text)):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_text(made(version))
            # mypy keeps what it knows of a file that has the same name, length and time.
            os.utime(file, (next(TIMES),) * 2)
            found.append(find(folder))
    assert not found[1][0], f"{tool} finds a fault in {fault.name}, mended: {found[1][1]}"
    return found[0][0]


def declared(fault):
    """The tools that the first line names, and what is wrong."""
    named, what = re.match(r'"""Found by (.*?): (.*?)"""', (fault / "fault.py").read_text()).groups()
    return set() if named == "nobody" else set(named.split(", ")), what


def table(found):
    text = ["| | " + " | ".join(TOOLS) + " |", "|---|" + "---|" * len(TOOLS)]
    for fault, by in found.items():
        cells = ["found" if tool in by else "" for tool in TOOLS]
        text.append(f"| {declared(fault)[1]} | " + " | ".join(cells) + " |")
    counts = [str(sum(tool in by for by in found.values())) for tool in TOOLS]
    text.append(f"| of {len(found)} | " + " | ".join(counts) + " |")
    return "\n".join(text) + "\n"


def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return (done.stdout + done.stderr).partition("\n")[0].strip()


def publish(found):
    folder = ROOT / f"bench/runs/{datetime.date.today()}-faults"
    folder.mkdir()
    lines = []
    for tool in TOOLS:
        values = [(fault.name, int(tool in by)) for fault, by in found.items()]
        for what, value in [*values, ("found", sum(value for _, value in values)), ("faults", len(values))]:
            lines.append({"round": 1, "part": "faults", "server": tool, "what": what, "unit": "", "value": value})
    (folder / "raw.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "summary.md").write_text(
        "# faults\n\nWhat each tool finds before the program runs. CPython imports the module; mypy sees it without its "
        "annotations, too. The faults are in bench/report/faults.\n\n" + table(found)
    )
    (folder / "command.txt").write_text("python bench/report/faults/check.py --run\n")
    (folder / "versions.txt").write_text(
        f"python: Python {platform.python_version()}\nmypy: {first_line(sys.executable, '-m', 'mypy', '--version')}\n"
        f"java: {first_line('javac', '-version')}\nrustc: {first_line('rustc', '--version')}\n"
    )
    print(folder)


def main():
    found, wrong = {}, []
    for fault in sorted(path.parent for path in HERE.glob("*/fault.py")):
        found[fault] = {tool for tool in TOOLS if finds(tool, fault)}
        if found[fault] != declared(fault)[0]:
            wrong.append(f"{fault.name}: found by {', '.join(sorted(found[fault])) or 'nobody'}")
    print(table(found))
    if wrong:
        raise SystemExit("\n".join(wrong))
    if "--run" in sys.argv[1:]:
        publish(found)


if __name__ == "__main__":
    main()
