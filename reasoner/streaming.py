"""A chat completion that arrives piece by piece, as server-sent events, put together again."""

import json
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from fedrag.core.errors import ProtocolError, TooLarge
from reasoner.dialect import mapping, text_of
from reasoner.thinking import CLOSING, closed, opened

THINKING_FIELDS: Final = ("reasoning_content", "reasoning")
_DONE: Final = "[DONE]"
_TAIL: Final = len(CLOSING) + 16
"""Characters before a piece that a tag begun in them can end in it."""


async def events(chunks: AsyncIterable[bytes], maximum_bytes: int) -> AsyncGenerator[Mapping[str, object]]:
    """The JSON objects of a `text/event-stream`, until it says that it is done.

    Raises TooLarge, or ProtocolError for an event that is no JSON and for a stream that breaks off.
    """
    waiting, received = bytearray(), 0
    async for chunk in chunks:
        received += len(chunk)
        if received > maximum_bytes:
            raise TooLarge(f"the stream is longer than {maximum_bytes} bytes")
        waiting += chunk
        *lines, rest = waiting.split(b"\n") if b"\n" in chunk else [waiting]
        waiting = bytearray(rest)
        for line in lines:
            name, _, told = line.decode(errors="replace").strip().partition(":")
            if name != "data":  # comments keep a connection alive; other fields say nothing to us
                continue
            if told.strip() == _DONE:
                return
            try:
                yield mapping(json.loads(told))
            except ValueError:
                raise ProtocolError("the model server's stream holds no JSON") from None
    raise ProtocolError("the model server's stream broke off")


@dataclass(slots=True)
class Arriving:
    """What has come of a completion. `thinking_tokens` are counted as they come; after a stop, that is all there is. A
    busy server sends several tokens at once, and with them what it thought last may stand beside its first words:
    these do not count, and once it has begun to answer it `thinks` no more."""

    _content: list[str] = field(default_factory=list)
    _thinking: list[str] = field(default_factory=list)
    _thinking_field: str = ""
    _logprobs: list[object] = field(default_factory=list)
    _finish: str = ""
    _usage: Mapping[str, object] = field(default_factory=dict)
    _pieces: int = 0
    _tail: str = ""
    _in_tags: bool = False
    thinking_tokens: int = 0
    thinks: bool = False

    def add(self, event: Mapping[str, object]) -> None:
        self._usage = mapping(event.get("usage")) or self._usage
        choices = event.get("choices")
        choice = mapping(choices[0]) if isinstance(choices, list) and choices else {}
        delta = mapping(choice.get("delta"))
        listed = mapping(choice.get("logprobs")).get("content")
        listed = listed if isinstance(listed, list) else []
        content = text_of(delta.get("content"))
        name = next((one for one in THINKING_FIELDS if text_of(delta.get(one))), "")
        if name:
            self._thinking.append(text_of(delta.get(name)))
            self._thinking_field = name
        if content:
            self._content.append(content)
            self._watch(content)
        if name or content:
            size = len(listed) or 1
            self._pieces += size
            self.thinks = self._in_tags or not content
            self.thinking_tokens += size if self.thinks else 0
        self._logprobs += listed
        self._finish = text_of(choice.get("finish_reason")) or self._finish

    def reply(self, stopped: str = "") -> dict[str, object]:
        """As a server would have sent it in one piece. `stopped`: why we stopped reading, empty where we did not.

        Raises ProtocolError for a stream that neither was stopped nor says why it ended.
        """
        if not stopped and not self._finish:
            raise ProtocolError("the model server's stream broke off")
        thinking = self._thinking_field or THINKING_FIELDS[0]
        message = {"content": "".join(self._content), thinking: "".join(self._thinking)}
        choice = {
            "message": message,
            "finish_reason": stopped or self._finish,
            "logprobs": {"content": self._logprobs} if self._logprobs else None,
        }
        return {"choices": [choice], "usage": self._usage or {"completion_tokens": self._pieces}}

    def _watch(self, content: str) -> None:
        seen = self._tail + content
        if opened(seen):
            self._in_tags = True
        elif closed(seen):
            self._in_tags = False
        self._tail = seen[-_TAIL:]
