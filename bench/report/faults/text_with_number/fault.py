"""Found by mypy --strict, javac, rustc: A time as text is compared with one as a number."""

def is_stale(timestamp: str, stored: int) -> bool:
    return timestamp <= stored  # fault
    # instead: return int(timestamp) <= stored
