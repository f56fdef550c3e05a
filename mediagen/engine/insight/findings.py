"""What is wrong on a site, or will be: one shape for the doctor, the alerts and the pages that show them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    ERROR = "error"
    """pictures are not made, or money or work is at stake: somebody has to act"""
    WARNING = "warning"
    """it works, and will not for long, or not as it is meant"""
    NOTE = "note"
    """good to know"""


ORDER = tuple(Level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that somebody should know. No field holds a secret."""

    code: str
    """stable, for programs: "provider_refused"; of Django's system checks their id"""
    level: Level
    about: str = ""
    """which thing: "provider:flux", "library:<id>"; "" the site"""
    what: str
    next_step: str = ""
    command: str = ""
    """a line for a shell that helps, or shows more; "" when there is none"""

    @property
    def key(self) -> tuple[str, str]:
        return self.code, self.about


def sorted_findings(findings: list[Finding]) -> list[Finding]:
    """The gravest first."""
    return sorted(findings, key=lambda finding: (ORDER.index(finding.level), finding.code, finding.about))
