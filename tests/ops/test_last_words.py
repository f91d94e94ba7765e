"""What is said of a process that ended: the error that ended it, not that it stopped."""

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from sofia_streams.embedded import process
from sofia_streams.ops.supervision import supervise
from sofia_streams.ops.supervision.last_words import last_words
from sofia_streams.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
TAKEN = "OSError: [Errno 98] error while attempting to bind on address ('127.0.0.1', 6066): \"in use\""


SAYS = """
import logging, structlog
from sofia_streams.obs import logs
logs.configure("info", as_json={})

def end(cause):
    try:
        raise ConnectionError("what was under it")
    except ConnectionError as error:
        try:
            raise cause from error
        except Exception as last:
            logging.getLogger("faust.worker").error("[^_Worker]: Error: %r", last, exc_info=last)
    logging.getLogger("sofia_streams.app").info("[^-_App]: Flush producer buffer...")
    logging.getLogger("sofia_streams.worker").info("[^--PromptConsumer]: Stopping...")
    logging.getLogger("asyncio").error("Unclosed connection")

"""
"""What our processes write, and how Faust ends a worker."""


@pytest.fixture(params=[False, True], ids=["lines", "json"])
def written(request):
    def run(code, *, is_failing=False):
        command = [sys.executable, "-c", SAYS.format(request.param) + code]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == is_failing, done.stderr
        return done.stderr

    return run


def test_the_error_that_ended_it_is_said_rather_than_that_it_stopped(written):
    said = written(f"end(OSError(98, {TAKEN.partition('] ')[2]!r}))")
    assert last_words(said) == TAKEN


def test_of_several_lines_of_an_error_the_first_is_said(written):
    assert (
        last_words(written(r"end(ValueError('expected a port\n  found none\ndo this'))"))
        == "ValueError: expected a port"
    )


GROUPS = """
import asyncio

async def fails(error):
    raise error

async def all_of(*jobs):
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(job)

"""


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ("fails(ValueError('expected a port\\n  found none'))", "ValueError: expected a port"),
        ("fails(KeyError(1)), fails(KeyError(2))", "KeyError: 2"),
        ("all_of(all_of(fails(KeyError(3))))", "KeyError: 3"),
    ],
)
@pytest.mark.parametrize("ends", ["end(group)", "raise group"])
def test_of_a_group_of_exceptions_what_is_in_it_is_said(written, jobs, said, ends):
    code = f"{GROUPS}try:\n    asyncio.run(all_of({jobs}))\nexcept ExceptionGroup as group:\n    {ends}"
    assert last_words(written(code, is_failing=ends.startswith("raise"))) == said


def test_a_group_whose_exceptions_were_never_raised_is_said_itself(written):
    assert last_words(written("end(ExceptionGroup('two', [KeyError(1)]))")) == "ExceptionGroup: two (1 sub-exception)"


def test_an_error_without_an_exception_is_its_line_and_goes_before_those_of_libraries(written):
    ours = "structlog.get_logger('app').error('expected 4 partitions', found=8)\n"
    theirs = "logging.getLogger('aiokafka').error('Unable to connect')\n"
    stops = "structlog.get_logger('app').info('stopping')"
    said = last_words(written(ours + theirs + stops))
    assert "expected 4 partitions" in said and "8" in said
    assert "Unable to connect" in last_words(written(theirs + stops))


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("", ""),
        ("one\ntwo", "two"),
        ('x\nTraceback (most recent call last):\n  File "a", line 1\n    raise\nKeyError: 3\nbye', "KeyError: 3"),
        ('event=a level=error\nTraceback (most recent call last):\n  File "a"\nKeyError: 3', "KeyError: 3"),
        ("Traceback (most recent call last):\n  File", "  File"),
        ('event="no level=errors" level=info\nevent=end level=info', "event=end level=info"),
    ],
)
def test_what_is_said_of_other_logs(log, said):
    assert last_words(log) == said


def test_one_that_was_killed_could_not_say_why():
    log = "event=a level=error\nevent=b level=info"
    assert last_words(log, was_killed=True) == "event=b level=info"
    assert last_words("", was_killed=True) == ""


class Said(list):
    """Alerts."""

    say = list.append

    def add(self, matter, severity, text):
        self.append(text)


def test_the_supervisor_says_the_error_of_a_worker_that_ended(tmp_path, monkeypatch):
    code = f"import sys; print('level=error', {TAKEN!r}); print('x' * 9_000); print('Stopping...'); sys.exit(1)"

    def started(name, settings, data_dir):
        return process.start(name, [sys.executable, "-c", code], port=0, data_dir=data_dir, cwd=data_dir)

    monkeypatch.setattr(supervise, "start_worker", started)
    for folder in ("run", "log"):
        (tmp_path / folder).mkdir()
    said = Said()
    with ExitStack() as ending:
        supervisor = supervise.Supervisor(["ohlcv"], Settings(), tmp_path, said)
        ending.callback(supervisor.stop)
        until_s = time.monotonic() + 60
        while not said:
            supervisor.check()
            assert time.monotonic() < until_s
    assert said[0].startswith("ohlcv ended with code 1") and said[0].endswith(f"level=error {TAKEN}")
