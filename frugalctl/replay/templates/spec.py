"""A prompt as it will ship, what it replaces, and which requests it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from frugalctl.replay.templates.parse import Template

Role = Literal["system", "developer", "user"]
Rate = Literal["request", "session", "tenant", "day", "never"]
ROLES: tuple[Role, ...] = ("system", "developer", "user")
RATES: tuple[Rate, ...] = ("request", "session", "tenant", "day", "never")
FILTERS = ("task", "tenant", "model")
INFERRED = "worked out from the log"


@dataclass(frozen=True, slots=True)
class PromptSpec:
    """A prompt.

    Attributes:
        name: what reports call it.
        file: the template as it will ship, as the user would name it.
        template: what stands in it.
        version: its version, "" if not said.
        role: which message it renders: "system" (a developer message too), "developer", or "user",
            the last user message.
        filters: task, tenant and model that a request must have.
        old: the template that the log was rendered with; None if it is to be inferred.
        old_file: its name, "" if it has none.
        old_version: its version, "" if not said.
        old_from: where it is from, in words; "" if there is none yet.
        values: of placeholders that the old template does not have.
        varies: how often these change.
        where: where it is declared, for messages.
    """

    name: str
    file: str
    template: Template
    version: str = ""
    role: Role = "system"
    filters: Mapping[str, str] = field(default_factory=dict[str, str])
    old: Template | None = None
    old_file: str = ""
    old_version: str = ""
    old_from: str = ""
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    varies: Mapping[str, Rate] = field(default_factory=dict[str, Any])
    where: str = ""

    @property
    def known(self) -> tuple[tuple[Template, bool], ...]:
        """The templates to look for in a request, old before new, and which is the new one.

        One without fixed words would be found in every request: it counts where the declaration
        says which requests it is for.
        """
        both = ((self.old, False), (self.template, True))
        return tuple(
            (template, is_new)
            for template, is_new in both
            if template is not None and (self.filters or not template.is_bare)
        )

    @property
    def is_changed(self) -> bool:
        """Whether anything would be rendered otherwise than before."""
        return self.old is not None and (
            self.old.texts != self.template.texts
            or [slot.name for slot in self.old.slots] != [slot.name for slot in self.template.slots]
        )
