"""Sessions: the state of each open page. They never mix, are bounded in number and memory, and expire."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import InputError
from ..images import Picture
from .jobs import Job
from .network import View
from .pictures import Limits

__all__ = ["Report", "Session", "Sessions", "Shown", "UnknownSession"]

_REPORTS = 3  # to keep for each session


class UnknownSession(Exception):
    """The session does not exist, or has expired."""


@dataclass(frozen=True)
class Report:
    """A page with an explanation.

    Attributes:
        html: The page.
        filename: Its name when it is saved.
    """

    html: str
    filename: str


@dataclass(frozen=True)
class Shown:
    """A photograph of a session. Another photograph is another object, so work on this one never mixes with it.

    Attributes:
        read: Reads the photograph. Photographs are kept as files, which are smaller.
        size: Bytes of the file.
        name: Name of the photograph.
        picture: Which photograph of the session it is, counted from 1.
        views: The photograph as each network sees it; filled by the thread of questions.
    """

    read: Callable[[], Picture]
    size: int
    name: str
    picture: int
    views: dict[str, View]


@dataclass
class Session:
    """The state of one open page.

    Attributes:
        id: Cannot be guessed.
        shown: The photograph; None before one is chosen.
        asked: Number of predictions that were requested; only the latest request is answered.
        job: The explanation that was requested last.
        reports: Pages by id, the last few.
        used: When it was last used, in seconds.
    """

    id: str
    shown: Shown | None = None
    asked: int = 0
    job: Job | None = None
    reports: OrderedDict[str, Report] = field(default_factory=OrderedDict)
    used: float = 0.0

    @property
    def size(self) -> int:
        """Bytes of the photograph's file."""
        return 0 if self.shown is None else self.shown.size

    def show(self, read: Callable[[], Picture], size: int, name: str, views: dict[str, View]) -> Shown:
        """Replace the photograph."""
        self.shown = Shown(read, size, name, 1 if self.shown is None else self.shown.picture + 1, views)
        return self.shown

    def photograph(self) -> Shown:
        """The photograph.

        Raises:
            InputError: If none was chosen.
        """
        if self.shown is None:
            raise InputError.expected("a photograph", "none", "choose or upload one")
        return self.shown

    def keep(self, key: str, report: Report) -> None:
        """Keep a report, and drop the oldest ones if there are too many."""
        self.reports[key] = report
        while len(self.reports) > _REPORTS:
            self.reports.popitem(last=False)

    def close(self) -> None:
        """Cancel its explanation."""
        if self.job is not None:
            self.job.cancel()


class Sessions:
    """All sessions. Used by one thread.

    Args:
        limits: Their number, their memory, and how long they are kept.
        clock: Seconds.

    Example:
        >>> sessions = Sessions(Limits(sessions=1))
        >>> first, second = sessions.create(), sessions.create()
        >>> sessions.get(second.id) is second
        True
        >>> sessions.get(first.id)
        Traceback (most recent call last):
        ...
        xai_layermask.app.session.UnknownSession
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._open: OrderedDict[str, Session] = OrderedDict()  # longest idle first

    def __len__(self) -> int:
        return len(self._open)

    def create(self) -> Session:
        """Open a session. If there are too many, the one that has been idle longest is closed."""
        session = Session(secrets.token_urlsafe(24), used=self._clock())
        self._open[session.id] = session
        self.tidy()
        return session

    def get(self, key: str) -> Session:
        """A session by its id, which counts as a use.

        Raises:
            UnknownSession: If there is none.
        """
        self.tidy()
        if key not in self._open:
            raise UnknownSession
        session = self._open[key]
        session.used = self._clock()
        self._open.move_to_end(key)
        return session

    def report(self, key: str) -> Report:
        """A report by its id.

        Raises:
            UnknownSession: If there is none.
        """
        self.tidy()
        for session in self._open.values():
            if key in session.reports:
                return session.reports[key]
        raise UnknownSession

    def tidy(self) -> None:
        """Close expired sessions, and the longest idle ones while there are too many or they use too much memory."""
        oldest = self._clock() - self._limits.idle
        while self._open:
            first = next(iter(self._open.values()))
            size = sum(one.size for one in self._open.values())
            many = len(self._open) > self._limits.sessions or (size > self._limits.kept and len(self._open) > 1)
            if first.used >= oldest and not many:
                return
            self._open.pop(first.id).close()

    def close(self) -> None:
        """Close all."""
        while self._open:
            self._open.popitem()[1].close()
