"""Found by mypy --strict, javac, rustc: One of two branches makes the answer and does not return it."""

def skew(difference: int) -> str:
    if difference >= 0:
        return f"+{difference}"
    str(difference)  # fault
    # instead: return str(difference)
