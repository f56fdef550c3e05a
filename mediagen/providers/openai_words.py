"""A chat completion about a picture, as OpenAI's API and those that speak it have it: the question and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from mediagen import http
from mediagen.errors import BadResponse, Refused
from mediagen.providers.describing import MOST_TOKENS_OUT, Described, in_data_url


def question(model: str, instruction: str, jpeg: bytes, *, most_tokens_as: str) -> dict[str, Any]:
    """The body of the request."""
    content = [
        {"type": "text", "text": instruction},
        {"type": "image_url", "image_url": {"url": in_data_url(jpeg)}},
    ]
    return {"model": model, "messages": [{"role": "user", "content": content}], most_tokens_as: MOST_TOKENS_OUT}


def read(
    answer: Mapping[str, Any],
    response: http.Response,
    *,
    quoted: Callable[..., str],
    cost_of: Callable[[Any, Any], Decimal | None],
) -> Described:
    """The words in the answer. `Refused` when the model or a filter withholds them, `BadResponse` when there are none;
    both know what was paid."""
    usage = answer.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    tokens = usage.get("prompt_tokens"), usage.get("completion_tokens")
    cost, status = cost_of(*tokens), response.status
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = first.get("message")
    message = message if isinstance(message, dict) else {}
    text, reason = message.get("content"), quoted(first.get("finish_reason"), 60)
    if isinstance(refusal := message.get("refusal"), str) and refusal.strip():
        raise Refused(f"the model refused to describe it: {quoted(refusal, 300)}", http_status=status, cost=cost)
    if reason == "content_filter":
        raise Refused("a content filter withheld the description.", http_status=status, cost=cost)
    if not isinstance(text, str) or not text.strip():
        why = f" ({reason})" if reason else ""
        more = ": all of its tokens went into thinking" if reason == "length" else ""
        raise BadResponse(f"answered {status} without words{why}{more}.", http_status=status, cost=cost)
    facts = {"request_id": quoted(response.headers.get("x-request-id")) or quoted(answer.get("id")), "finish": reason}
    return Described(
        text=text,
        tokens_in=tokens[0],
        tokens_out=tokens[1],
        model=quoted(answer.get("model"), 100),
        metadata={name: value for name, value in facts.items() if value},
    )
