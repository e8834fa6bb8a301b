"""Found by mypy --strict, javac, rustc: What will have the answer is returned in the place of the answer."""

async def places(location: str) -> bytes:
    return location.encode()


async def whatsat(location: str) -> bytes:
    return places(location)  # fault
    # instead: return await places(location)
