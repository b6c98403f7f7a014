"""The demo provider as a process: both commands, control from outside, its end."""

import os
import signal
import subprocess
import sys
from http.client import HTTPConnection

import pytest
from django.core.management import CommandError, call_command
from openai import OpenAI

from llm.management.commands import demo_provider as command
from valuecanvas.embedded.demo_provider import __main__ as entry
from valuecanvas.embedded.demo_provider import process
from valuecanvas.embedded.demo_provider.options import Options
from valuecanvas.embedded.demo_provider.process import demo_process


def models_status(port, host="127.0.0.1"):
    """The status of GET /v1/models."""
    connection = HTTPConnection(host, port, timeout=60)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status
    finally:
        connection.close()


def test_process__behaving__overrides_for_a_while(demo_provider):
    with demo_provider.behaving("*", "status-418"):
        assert models_status(demo_provider.port) == 418
        assert demo_provider.stats()["(models)"]["ends"]["status-418"] >= 1
    assert models_status(demo_provider.port) == 200
    demo_provider.reset()


def test_process__bad_override__raises(demo_provider):
    with pytest.raises(ValueError, match="no behaviour 'hagn'"):
        demo_provider.override("x", "hagn")


def test_process__unknown_attempt__raises(demo_provider, monkeypatch):
    monkeypatch.setattr(process, "_REFEREE_SECONDS", 0.02)
    with pytest.raises(TimeoutError):
        demo_provider.attempt("never-made")


def test_process__ended_attempts__waits_for_all(tmp_path):
    with demo_process(referee=tmp_path) as demo:
        assert models_status(demo.port) == 200
        assert demo.ended_attempts() == []
        with OpenAI(base_url=demo.url, api_key="x") as client:
            client.embeddings.create(model="demo-embedding", input="hi")
        [attempt] = demo.ended_attempts()
        assert (attempt.endpoint, attempt.how) == ("/v1/embeddings", "done")


def test_process__without_referee_and_control__has_neither():
    with demo_process(control=False) as demo:
        assert demo.attempts() == []
        with pytest.raises(ValueError, match="Unknown request URL"):
            demo.stats()
        demo.stop()
        demo.stop()
        with pytest.raises(ConnectionRefusedError):
            models_status(demo.port)


def test_process__port_taken__says_that_it_did_not_start(demo_provider, capfd):
    taken = demo_process(port=demo_provider.port)
    with pytest.raises(RuntimeError, match="did not start"):
        taken.__enter__()
    assert "address already in use" in capfd.readouterr().err


def test_process__that_does_not_heed_sigterm__is_killed(monkeypatch):
    monkeypatch.setattr(process, "_STOP_SECONDS", 0.2)
    with demo_process() as demo:
        os.kill(demo.pid, signal.SIGSTOP)
        demo.stop()
        with pytest.raises(ProcessLookupError):
            os.kill(demo.pid, 0)


@pytest.mark.parametrize("end", ["stdin", "sigint", "sigterm"])
def test_main__told_to_stop__exits_cleanly(end):
    options = ["--exit-with-stdin"] if end == "stdin" else []
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "valuecanvas.embedded.demo_provider",
            "--host",
            "::1",
            *options,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdout is not None
        assert started.stdin is not None
        line = started.stdout.readline()
        assert line.startswith("demo provider listening on http://[::1]:")
        port = int(line.rpartition(":")[2].split("/")[0])
        assert models_status(port, "::1") == 200
        if end == "stdin":
            started.stdin.write("not yet")
            started.stdin.flush()
            assert models_status(port, "::1") == 200
            started.stdin.close()
        else:
            started.send_signal(getattr(signal, end.upper()))
        assert started.wait(60) == 0


def test_main__host_off_loopback__is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as caught:
        entry.main(["--host", "192.0.2.1"])
    assert caught.value.code == 2
    assert "loopback only" in capsys.readouterr().err


def test_main__help__lists_the_behaviours(capsys):
    with pytest.raises(SystemExit):
        entry.main(["--help"])
    assert "drip@20ms:200" in capsys.readouterr().out


def test_command__arguments__reach_the_server(monkeypatch, tmp_path, capsys):
    served = []

    def serve(options, announce):
        served.append(options)
        announce("demo provider listening on http://127.0.0.1:1/v1")

    monkeypatch.setattr(command, "serve", serve)
    call_command(command.Command(), f"--referee={tmp_path}", "--port=1", "--control")
    assert served == [Options(port=1, referee=tmp_path, control=True)]
    assert capsys.readouterr().out.endswith("127.0.0.1:1/v1\n")


def test_command__host_off_loopback__is_a_command_error():
    with pytest.raises(CommandError, match="loopback only"):
        call_command(command.Command(), "--host=0.0.0.0")
