"""Found by javac, rustc: A field is written by a name that it does not have: Python makes a new one."""

class Node:
    def __init__(self) -> None:
        self.is_stopping = False

    def stop(self) -> None:
        self.is_stoping = True  # fault
        # instead: self.is_stopping = True
