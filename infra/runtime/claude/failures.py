"""What an error of the Messages API means for the task, in words that a user may read. Pure."""

from __future__ import annotations

from anthropic import APIConnectionError, APIStatusError, APITimeoutError
from anthropic.types.beta import BetaMessage

from contracts.errors import ConnectorsError, Permanent, Transient
from infra.runtime.logs import redact

_PASSING = {408, 409, 429}
_MAX_WORDS = 300


def failure_of(error: APIStatusError | APIConnectionError, key: str) -> ConnectorsError:
    """After the SDK's own retries. ``key`` is blanked out of whatever the server says."""
    if isinstance(error, APIStatusError):
        return _status(error, key)
    if isinstance(error, APITimeoutError):
        return Transient("the model's server did not answer in time")
    cause = redact(str(error.__cause__ or error), [key])[:_MAX_WORDS]
    return Transient(f"no whole reply came from the model's server: {cause}")


def _status(error: APIStatusError, key: str) -> ConnectorsError:
    status, words = error.status_code, redact(_words(error), [key])[:_MAX_WORDS]
    if status == 401:
        return Permanent("the Anthropic key was refused (401): check ANTHROPIC_API_KEY")
    if status == 403:
        return Permanent(f"the Anthropic key was refused (403): it may not do this: {words}")
    if status in _PASSING or status >= 500:
        return Transient(f"the model's server answered {status} again and again: {words}")
    return Permanent(f"the model's server refused the request ({status}): {words}")


def _words(error: APIStatusError) -> str:
    """The API's own message, out of ``{"error": {"message": ...}}``."""
    if isinstance(error.body, dict) and isinstance(told := error.body.get("error"), dict):
        return str(told.get("message", ""))
    return "no reason was given"


def refusal(message: BetaMessage) -> Permanent:
    """The model declined the work."""
    details = message.stop_details
    category = getattr(details, "category", None)
    why = getattr(details, "explanation", None)
    return Permanent(
        "the model refused the work"
        + (f" ({category})" if category else "")
        + (f": {str(why)[:_MAX_WORDS]}" if why else "; the API gave no reason")
    )
