"""Serving on a loopback address: it ends in order."""

import socket

import pytest
from flask import Flask

from webapi.serving import serve


def test_it_closes_though_an_answer_pulls_the_trigger_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serving = serve(Flask("empty"), "127.0.0.1:0", 1)
    host, port = serving.address.split(":")
    pull = serving._server.trigger._physical_pull

    def pull_behind_another() -> None:
        pull()
        serving._thread.join(0.5)  # time for it to close everything, the trigger too
        pull()

    monkeypatch.setattr(serving._server.trigger, "_physical_pull", pull_behind_another)
    serving.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
