"""Found by mypy --strict, javac, rustc: A field is read by a name that it does not have."""

class Report:
    def __init__(self, client: str, time: int) -> None:
        self.client, self.time = client, time


def is_stale(report: Report, stored: int) -> bool:
    return report.tiem <= stored  # fault
    # instead: return report.time <= stored
