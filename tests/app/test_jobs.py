"""Queues are bounded, sessions expire, and the last question wins."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from xai_layermask.app.guard import is_trusted
from xai_layermask.app.jobs import Busy, Explanations, Questions, Superseded
from xai_layermask.app.pictures import Limits
from xai_layermask.app.playground import Playground
from xai_layermask.app.session import Report, Sessions, UnknownSession


def run_apart(coroutine):
    """Run a coroutine in a thread of its own: the browser of other tests keeps a loop running in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, coroutine).result()


def wait(job):
    for _ in range(500):
        if job.state not in ("waiting", "running"):
            return job.state
        threading.Event().wait(0.01)
    return job.state


def test_explanations_wait_in_a_bounded_queue():
    explanations, gate = Explanations(2, str), threading.Event()
    jobs = [explanations.submit(lambda job: gate.wait(10)) for _ in range(3)]
    with pytest.raises(Busy, match="expected at most 2 waiting explanations"):
        explanations.submit(lambda job: None)
    assert explanations.ahead(jobs[2]) == 2
    jobs[1].cancel()
    gate.set()
    assert [wait(job) for job in jobs] == ["done", "cancelled", "done"]
    assert explanations.submit(lambda job: None) is not None
    explanations.close()


def test_cancelled_explanations_keep_nothing_and_are_in_no_queue():
    explanations, gate, kept = Explanations(2, str), threading.Event(), []
    running = explanations.submit(lambda job: gate.wait(10))

    class Upload:
        pass

    for _ in range(50):
        upload = Upload()
        kept.append(weakref.ref(upload))
        job = explanations.submit(lambda job, upload=upload: upload)
        del upload
        job.cancel()
    gc.collect()
    assert [one() for one in kept] == [None] * 50
    assert explanations._pool._work_queue.qsize() == 0
    last = explanations.submit(lambda job: 7)
    gate.set()
    assert (wait(running), wait(last), last.result, last.work) == ("done", "done", 7, None)
    explanations.close()


def test_an_explanation_ends_when_it_is_cancelled_or_fails():
    explanations, started = Explanations(2, lambda error: f"worded {error}"), threading.Event()

    def endless(job):
        for done in range(10**9):
            job.progress(done, 10**9)
            started.set()
            threading.Event().wait(0.001)

    job = explanations.submit(endless)
    assert started.wait(10)
    job.cancel()
    assert wait(job) == "cancelled"
    failed = explanations.submit(lambda job: 1 / 0)
    assert (wait(failed), failed.error) == ("failed", "worded division by zero")
    explanations.close()


def test_closing_ends_what_runs():
    explanations, started = Explanations(2, str), threading.Event()

    def endless(job):
        while True:
            job.progress(0, 1)
            started.set()
            threading.Event().wait(0.001)

    job = explanations.submit(endless)
    assert started.wait(10)
    explanations.close()  # returns, since the job is cancelled
    assert job.state == "cancelled"


def test_questions_wait_in_a_bounded_queue():
    async def flood():
        questions, gate = Questions(2), threading.Event()
        asked = [asyncio.create_task(questions.ask(lambda: gate.wait(10))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="try again in a moment"):
            await questions.ask(lambda: None)
        gate.set()
        assert await asyncio.gather(*asked) == [True, True]
        assert await questions.ask(lambda: 5) == 5
        questions.close()

    run_apart(flood())


def test_questions_that_wait_end_when_the_server_stops():
    async def stop():
        questions, gate = Questions(9), threading.Event()
        asked = [asyncio.create_task(questions.ask(lambda: gate.wait(10))) for _ in range(3)]
        await asyncio.sleep(0.05)
        questions.stop()
        gate.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        with pytest.raises(Busy, match="got one that stops"):
            await questions.ask(lambda: None)
        questions.close()
        return answers

    first, *others = run_apart(stop())
    assert first is True  # it was being answered
    assert [type(one) for one in others] == [Busy, Busy]


def test_the_last_question_wins():
    from app.served import CHOICES, TINY, networks, picture, png

    async def paint():
        playground = Playground(networks()[:1], CHOICES, TINY)
        session = playground.sessions.create()
        view = await playground.show_upload(session, "tiny", png(picture()), "a.png")
        asked = [playground.predict(session, "tiny", view["picture"], b"\xff" * 128)
                 for _ in range(4)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        playground.close()
        return answers

    answers = run_apart(paint())
    assert [type(one) for one in answers[:-1]] == [Superseded] * 3
    assert set(answers[-1]) == {"answers", "filled", "present"}


def test_another_photograph_never_gets_an_older_view():
    """The model is switched and the old photograph painted while a new one is processed."""
    from app.served import CHOICES, TINY, networks, picture, png

    async def switch():
        playground = Playground(networks(), CHOICES, TINY)
        session = playground.sessions.create()
        first = await playground.show_upload(session, "tiny", png(picture(0)), "a.png")
        small = png(picture(1, (30, 60)))
        answers = await asyncio.gather(
            playground.show_upload(session, "tiny", small, "b.png"),
            playground.view(session, "other"),
            playground.segments(session, "other", "patches:8"),
            playground.predict(session, "other", first["picture"], b"\xff" * 128),
            return_exceptions=True,
        )  # fmt: skip
        view = await playground.view(session, "other")
        alone = playground.sessions.create()
        wanted = await playground.show_upload(alone, "other", small, "b.png")
        playground.close()
        return answers, view, wanted

    (second, *stale), view, wanted = run_apart(switch())
    assert [type(one) for one in stale] == [Superseded] * 3
    assert (second["name"], second["picture"]) == (view["name"], view["picture"]) == ("b.png", 2)
    assert view | {"picture": 1} == wanted


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_idle_sessions_expire():
    clock = Clock()
    sessions = Sessions(Limits(idle=60), clock)
    first = sessions.create()
    clock.now = 50
    second = sessions.create()
    clock.now = 70
    assert sessions.get(second.id) is second
    with pytest.raises(UnknownSession):
        sessions.get(first.id)
    clock.now = 131
    with pytest.raises(UnknownSession):
        sessions.get(second.id)
    assert len(sessions) == 0


def test_the_memory_of_uploads_is_bounded():
    sessions = Sessions(Limits(kept=100))
    first, second = sessions.create(), sessions.create()
    for session in (first, second):
        session.show(lambda: None, 60, "a", {})
    sessions.tidy()
    assert len(sessions) == 1
    assert sessions.get(second.id) is second


def test_reports_belong_to_their_session_and_are_bounded():
    sessions = Sessions(Limits())
    session = sessions.create()
    for key in "abcd":
        session.keep(key, Report(key, "x.html"))
    assert sessions.report("d").html == "d"
    with pytest.raises(UnknownSession):
        sessions.report("a")


def test_ids_cannot_be_guessed():
    sessions = Sessions(Limits(sessions=200))
    ids = {sessions.create().id for _ in range(100)}
    assert len(ids) == 100
    assert min(map(len, ids)) >= 32


@pytest.mark.parametrize(("host", "trusted"), [
    ("127.0.0.1", True), ("127.0.0.1:80", True), ("[::1]:80", True), ("192.168.1.7:80", True), ("LOCALHOST", True),
    ("localhost.", True), ("localhost.attacker.example", False), ("127.0.0.1.attacker.example", False), ("", False),
    ("[attacker.example]", False), ("0x7f.1", False),
])  # fmt: skip
def test_hosts(host, trusted):
    assert is_trusted(host, ["localhost"]) is trusted
