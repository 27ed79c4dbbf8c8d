"""The command: it starts, says where, and stops on Ctrl-C, also in the middle of work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from app.served import CHOICES, TINY, Client, networks, picture, png

from xai_layermask.app import Playground, Server
from xai_layermask.cli.parser import parse
from xai_layermask.errors import InputError

TESTS = Path(__file__).parents[1]


@pytest.mark.skipif(os.name == "nt", reason="no signals")
def test_ctrl_c_stops_it_cleanly():
    command = [sys.executable, "-m", "xai_layermask", "app", "--port", "0", "--model", "tiny:classifier", "--device",
               "cpu", "--segments", "patches:8"]  # fmt: skip
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONPATH": paths})
    line = process.stdout.readline()
    assert line.startswith("The playground is at http://127.0.0.1:")
    client = Client(line.split()[4], "tiny:classifier")
    number = client.upload(png(picture()))["picture"]

    def ask():
        for _ in range(200):
            client.predict(np.ones((32, 32), bool), number)

    asking = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    threading.excepthook = lambda args: None  # their connections break, or they are told so
    for thread in asking:
        thread.start()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    threading.excepthook = threading.__excepthook__
    assert (process.returncode, out, err) == (0, "stopped\n", "")


def test_a_second_ctrl_c_leaves_no_traceback(capsys):
    server = Server(Playground(networks(), CHOICES, TINY), "127.0.0.1", 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    Client(server.url)  # it has started
    for _ in range(2):
        server._server.handle_exit(signal.SIGINT, None)
    thread.join(20)
    assert not thread.is_alive()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("words", "sentence"), [
    ("--port 70000", "expected an integer from 0 to 65535 for --port, got 70000"),
    ("--model lite0,lite1 --weights x.pt", "expected one model with --weights, got 2: start the app once for each"),
    ("--model lite7", "expected one of lite0, lite1"),
    ("--method shap --estimator ridge", "expected one of .* for --estimator of --method shap, got 'ridge'"),
])  # fmt: skip
def test_wrong_options(words, sentence):
    with pytest.raises(InputError, match=sentence):
        parse(["app", *words.split()])


def test_a_port_or_an_address_that_cannot_be_used():
    import socket

    from xai_layermask.app.server import _listen

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="expected a free port"):
        _listen("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(InputError, match="expected an address of this machine for --host"):
        _listen("no such host", 0)
    with pytest.raises(InputError, match=r"expected an address of this machine for --host, got '192.0.2.1'"):
        _listen("192.0.2.1", 0)
