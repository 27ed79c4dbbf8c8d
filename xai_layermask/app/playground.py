"""`Playground`: what the page can ask for, independent of HTTP."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import CaptureError, InputError, UnsupportedOperator, check_integer, choose, reason
from ..images import Picture
from ..viewer import page
from .jobs import Explanations, Job, Questions, Superseded
from .network import Network, View
from .pictures import EXAMPLES, Limits, read_upload
from .session import Report, Session, Sessions, Shown

__all__ = ["Choices", "Playground", "worded"]

T = TypeVar("T")
_MOST_SEGMENTS = 1 << 16  # ids are sent as 16 bits
_TARGETS = 3  # classes that are explained


@dataclass(frozen=True)
class Choices:
    """What can be chosen for an explanation; the first of each is the default.

    Attributes:
        maskings: Names of maskings.
        segments: Names of segmentations.
        samples: Numbers of samples, or "auto".
    """

    maskings: tuple[str, ...]
    segments: tuple[str, ...]
    samples: tuple[int | str, ...]


def worded(error: Exception) -> str:
    """The message for the page about an error. Unexpected errors are logged with their traceback."""
    if isinstance(error, (InputError, CaptureError, UnsupportedOperator)):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory: try a smaller picture, or close other programs"
    logging.getLogger(__name__).error("internal error", exc_info=error)
    return f"internal error, {type(error).__name__} ({reason(error)}): please report it"


class Playground:
    """Answers the questions of open pages.

    Args:
        networks: The models that can be chosen; the first is the default.
        choices: What else can be chosen.
        limits: Bounds of uploads, sessions and queues.
    """

    def __init__(self, networks: Sequence[Network], choices: Choices, limits: Limits) -> None:
        self.networks = {network.name: network for network in networks}
        self.choices = choices
        self.limits = limits
        self.sessions = Sessions(limits)
        self._questions = Questions(limits.questions)
        self._explanations = Explanations(limits.waiting, worded)

    def warm_up(self) -> None:
        """Capture each network, so that the first question is answered at once.

        Raises:
            InputError: If a model is not a classifier of photographs.
        """
        example = next(iter(EXAMPLES.values()))
        for network in self.networks.values():
            view = network.view(example.read())
            view.whole()
            view.answers(~example.gone(view.photograph))

    def stop(self) -> None:
        """Cancel explanations, and answer no more questions."""
        self.sessions.close()
        self._questions.stop()

    def close(self) -> None:
        """Cancel everything, and end the threads."""
        self.stop()
        self._explanations.close()
        self._questions.close()

    async def show_example(self, session: Session, model: str, name: str) -> dict[str, Any]:
        """Choose an example; returns its view, and which pixels are present at first."""
        example = EXAMPLES[choose(name, EXAMPLES, "example")]
        shown, view = await self._show(session, model, example.read, 0, example.title)
        presence = ~example.gone(view.photograph)
        return _described(shown, view) | {"presence": _base64(np.packbits(presence).tobytes())}

    async def show_upload(self, session: Session, model: str, content: bytes, name: str) -> dict[str, Any]:
        """Choose an uploaded photograph; returns its view."""
        read = partial(read_upload, content, name, self.limits)
        return _described(*await self._show(session, model, read, len(content), name))

    async def view(self, session: Session, model: str) -> dict[str, Any]:
        """The photograph as another model sees it.

        Raises:
            Superseded: If the session shows another photograph meanwhile.
        """
        shown = session.photograph()
        view = await self._ask(session, shown, partial(self._view, shown, model))
        return _described(shown, view)

    async def segments(self, session: Session, model: str, how: str) -> dict[str, Any]:
        """The segments of the photograph, as 16-bit ids row by row.

        Raises:
            Superseded: If the session shows another photograph meanwhile.
        """
        choose(how, self.choices.segments, "segments")
        shown = session.photograph()

        def work() -> npt.NDArray[np.int64]:
            return self._view(shown, model).segments(how)

        ids = await self._ask(session, shown, work)
        count = int(ids.max()) + 1
        if count > _MOST_SEGMENTS:
            raise InputError.expected(f"at most {_MOST_SEGMENTS} segments", f"{count}", "choose larger ones")
        return {"count": count, "ids": _base64(ids.astype("<u2").tobytes()), "picture": shown.picture}

    async def predict(self, session: Session, model: str, picture: int, packed: bytes) -> dict[str, Any]:
        """The predictions of each masking.

        Args:
            session: Whose photograph it is.
            model: The name of the model.
            picture: Which photograph of the session is meant.
            packed: Presence, a bit for each pixel, row by row.

        Raises:
            Superseded: If the session has asked again since, or shows another photograph.
            InputError: If the bits do not fit the picture.
        """
        shown = session.photograph()
        if shown.picture != picture:
            raise Superseded
        session.asked += 1
        asked = session.asked

        def work() -> dict[str, Any]:
            if session.asked != asked:
                raise Superseded
            view = self._view(shown, model)
            presence = _unpacked(packed, view.photograph.shape[:2])
            filled = _data_url(view.filled(presence), "JPEG")
            return {"answers": view.answers(presence), "filled": filled, "present": float(presence.mean())}

        return await self._ask(session, shown, work)

    def explain(self, session: Session, request: Mapping[str, Any]) -> dict[str, Any]:
        """Start an explanation of the whole photograph; an earlier one of the session is cancelled.

        Args:
            session: Whose photograph it is.
            request: `model`, `masking`, `segments` and `samples`, all among the choices.
        """
        network = self._network(request.get("model"))
        masking = choose(request.get("masking"), self.choices.maskings, "masking")
        segments = choose(request.get("segments"), self.choices.segments, "segments")
        counts = {str(one): one for one in self.choices.samples}
        samples = counts[choose(str(request.get("samples")), counts, "samples")]
        shown = session.photograph()
        session.close()

        def work(job: Job) -> Report:
            name, source = shown.name, shown.name if shown.size else None
            explanation = network.explain(shown.read(), masking, segments, samples, _TARGETS, job.progress)
            stem = "".join(letter if letter.isalnum() else "-" for letter in name.rpartition(".")[0] or name)[:60]
            return Report(page(explanation, source=source), f"{stem or 'photograph'}-explained.html")

        session.job = self._explanations.submit(work)
        return self.explaining(session)

    def explaining(self, session: Session) -> dict[str, Any]:
        """The progress of a session's explanation."""
        job = session.job
        if job is None:
            raise InputError.expected("an explanation that was started", "none", "press Explain")
        if job.state == "done" and job.id not in session.reports:
            session.keep(job.id, job.result)
        report = job.id if job.state == "done" else ""
        return {
            "state": job.state, "done": job.done, "total": job.total, "error": job.error, "report": report,
            "ahead": self._explanations.ahead(job),
        }  # fmt: skip

    def cancel(self, session: Session) -> dict[str, Any]:
        """Cancel the explanation of a session."""
        session.close()
        return self.explaining(session)

    async def _show(
        self, session: Session, model: str, read: Callable[[], Picture], size: int, name: str
    ) -> tuple[Shown, View]:
        network = self._network(model)

        def work() -> View:
            view = network.view(read())
            view.whole()
            return view

        view = await self._questions.ask(work)
        shown = session.show(read, size, name, {network.name: view})
        session.close()
        self.sessions.tidy()
        return shown, view

    async def _ask(self, session: Session, shown: Shown, work: Callable[[], T]) -> T:
        """Ask about a photograph; raises `Superseded` if the session shows another one before or after the work."""

        def current() -> T:
            if session.shown is not shown:
                raise Superseded
            return work()

        answer = await self._questions.ask(current)
        if session.shown is not shown:
            raise Superseded
        return answer

    def _view(self, shown: Shown, model: str) -> View:
        network = self._network(model)
        if network.name not in shown.views:
            shown.views[network.name] = network.view(shown.read())
        return shown.views[network.name]

    def _network(self, name: object) -> Network:
        return self.networks[choose(name, self.networks, "model")]


def _described(shown: Shown, view: View) -> dict[str, Any]:
    height, width = view.photograph.shape[:2]
    return {
        "picture": shown.picture, "name": shown.name, "width": width, "height": height,
        "image": _data_url(view.photograph, "PNG"), "whole": view.whole(),
    }  # fmt: skip


def _unpacked(packed: bytes, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Presence from its bits, bool `(H, W)`."""
    pixels = shape[0] * shape[1]
    check_integer(len(packed), "the bytes of presence", (pixels + 7) // 8, (pixels + 7) // 8)
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=pixels).reshape(shape).astype(bool)


def _data_url(picture: Picture, kind: str) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return f"data:image/{kind.lower()};base64,{_base64(file.getvalue())}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
