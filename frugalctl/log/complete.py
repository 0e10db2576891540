"""What a log leaves out and the text can tell: the model that was meant, the tokens."""

from __future__ import annotations

from frugalctl.log.estimate import estimate_usage
from frugalctl.log.schema import Request


def complete(request: Request, model: str | None, *, estimate: bool) -> None:
    """Fill in, in place, the model and the usage that a request lacks.

    Usage counted from text is marked by `usage_estimated`. A request with outcomes keeps its
    missing model, since its outcomes are what it has.

    Args:
        request: is changed.
        model: stands in for a missing model.
        estimate: count missing usage from the text.

    Raises:
        RecordError: the messages are not a list of objects.
    """
    if request.model is None and not request.outcomes:
        request.model = model
    if not estimate:
        return
    if request.usage is None and not (request.model is None and request.outcomes):
        request.usage = estimate_usage(request)
        request.usage_estimated = True if request.usage else None
    for outcome in request.outcomes or ():
        if outcome.usage is None:
            outcome.usage = estimate_usage(request, outcome)
            outcome.usage_estimated = True if outcome.usage else None
