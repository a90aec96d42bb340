"""Reading a message body without letting its sender decide how much memory that takes."""

from collections.abc import AsyncIterable

from fedrag.core.errors import TooLarge


async def read_bounded(chunks: AsyncIterable[bytes], maximum_bytes: int) -> bytes:
    """Raises TooLarge as soon as more than `maximum_bytes` have arrived."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > maximum_bytes:
            raise TooLarge(f"message body is larger than {maximum_bytes} bytes")
    return bytes(body)


def require_bounded(content_length: str | None, maximum_bytes: int) -> None:
    """Raises TooLarge for a message that announces more than `maximum_bytes`, before any of it is read."""
    if content_length is not None and content_length.isdecimal() and int(content_length) > maximum_bytes:
        raise TooLarge(f"message body is larger than {maximum_bytes} bytes")
