"""Found by javac, rustc: A file that cannot be read is not thought of."""

from pathlib import Path


def key(path: Path) -> str:
    try:
        return path.read_text()
    except ValueError:  # fault
    # instead: except (OSError, ValueError):
        return ""
