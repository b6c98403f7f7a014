"""The fault provider as a process: its options, control from outside, its end."""

import os
import signal
import subprocess
import sys
from http.client import HTTPConnection

import pytest
from openai import APIStatusError, OpenAI

from tests import demo_process as process
from tests.demo_process import demo_process
from tests.fault_provider import __main__ as entry


def models_status(port):
    """The status of GET /v1/models."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status
    finally:
        connection.close()


def test_process__behaving__overrides_for_a_while(demo_provider):
    with OpenAI(base_url=demo_provider.url, api_key="x", max_retries=0) as client:
        with demo_provider.behaving("acme/teapot-1", "status-418"):
            with pytest.raises(APIStatusError):
                client.embeddings.create(model="acme/teapot-1", input="hi")
            assert demo_provider.stats()["acme/teapot-1"]["requests"] == 1
        assert client.embeddings.create(model="acme/teapot-1", input="hi").data


def test_process__bad_override__raises(demo_provider):
    with pytest.raises(ValueError, match="no behaviour 'hagn'"):
        demo_provider.override("x", "hagn")


def test_process__unknown_attempt__raises(demo_provider, monkeypatch):
    monkeypatch.setattr(process, "_LOG_SECONDS", 0.02)
    with pytest.raises(TimeoutError):
        demo_provider.attempt("never-made")


def test_process__ended_attempts__waits_for_all(tmp_path):
    with demo_process(send_log=tmp_path) as demo:
        assert models_status(demo.port) == 200
        assert demo.ended_attempts() == []
        with OpenAI(base_url=demo.url, api_key="x") as client:
            client.embeddings.create(model="demo-embedding", input="hi")
        [attempt] = demo.ended_attempts()
        assert (attempt.endpoint, attempt.outcome) == ("/v1/embeddings", "done")


def test_process__without_log_and_control__has_neither():
    with demo_process(control=False) as demo:
        assert demo.attempts() == []
        with pytest.raises(ValueError, match="Not Found: GET /_stats"):
            demo.stats()
    with pytest.raises(ConnectionRefusedError):
        models_status(demo.port)


def test_process__port_taken__says_that_it_did_not_start(demo_provider, capfd):
    taken = demo_process(port=demo_provider.port)
    with pytest.raises(RuntimeError, match="did not start"):
        taken.__enter__()
    assert "Address already in use" in capfd.readouterr().err


def test_process__that_does_not_heed_sigterm__is_killed(monkeypatch):
    monkeypatch.setattr(process, "_STOP_SECONDS", 0.2)
    with demo_process() as demo:
        os.kill(demo.pid, signal.SIGSTOP)
    with pytest.raises(ProcessLookupError):
        os.kill(demo.pid, 0)


@pytest.mark.parametrize("end", ["stdin", "sigint", "sigterm"])
def test_main__told_to_stop__exits_cleanly(end):
    options = ["--exit-with-stdin"] if end == "stdin" else []
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.fault_provider",
            *options,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdout is not None
        assert started.stdin is not None
        line = started.stdout.readline()
        assert line.startswith("demo provider listening on http://127.0.0.1:")
        port = int(line.rpartition(":")[2].split("/")[0])
        assert models_status(port) == 200
        if end == "stdin":
            started.stdin.write("not yet")
            started.stdin.flush()
            assert models_status(port) == 200
            started.stdin.close()
        else:
            started.send_signal(getattr(signal, end.upper()))
        assert started.wait(60) == 0


def test_main__port_taken__is_a_usage_error(demo_provider, capsys):
    with pytest.raises(SystemExit) as caught:
        entry.main(["--port", str(demo_provider.port)])
    assert caught.value.code == 2
    assert "Address already in use" in capsys.readouterr().err


def test_main__options__reach_the_server(monkeypatch, tmp_path, capsys):
    served = []

    def serve(provider, port, announce):
        served.append((provider.send_log, provider.control, port))
        announce("demo provider listening on http://127.0.0.1:1/v1")

    monkeypatch.setattr(entry, "serve", serve)
    entry.main([f"--send-log={tmp_path}", "--port=1", "--control"])
    assert served == [(tmp_path, True, 1)]
    assert capsys.readouterr().out.endswith("127.0.0.1:1/v1\n")


def test_main__help__lists_the_behaviours(capsys):
    with pytest.raises(SystemExit):
        entry.main(["--help"])
    assert "drip@PAUSE[:TOKENS]" in capsys.readouterr().out
