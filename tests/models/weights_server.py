"""A real HTTP server on this machine that behaves as badly as it is told to."""

import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class WeightsServer:
    """`behaviour(handler, content, first_byte)` answers each GET; `requests` keeps the Range header of each."""

    def __init__(self, content, behaviour):
        self.content, self.behaviour, self.requests = content, behaviour, []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                wanted = self.headers.get("Range")
                server.requests.append(wanted)
                first = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
                server.behaviour(self, server.content, first)

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/weights.pth"


@contextmanager
def serving(content, behaviour):
    server = WeightsServer(content, behaviour)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        thread.join()
        server.http.server_close()


def send(handler, body, status=200, headers=()):
    """An answer whose Content-Length is that of the body unless `headers` says another."""
    handler.send_response(status)
    for name, value in ({"Content-Length": len(body)} | dict(headers)).items():
        handler.send_header(name, str(value))
    handler.end_headers()
    handler.wfile.write(body)


def well(handler, content, first):
    """The whole file, or the rest of it."""
    if not first:
        return send(handler, content)
    if first >= len(content):
        return send(handler, b"", 416, {"Content-Range": f"bytes */{len(content)}"})
    rest = content[first:]
    return send(handler, rest, 206, {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"})


def stopping(after):
    """Promises everything and hangs up after so many bytes of each transfer."""

    def behave(handler, content, first):
        rest = content[first:]
        headers = {"Content-Length": len(rest), "ETag": '"v1"'}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        send(handler, rest[:after], 206 if first else 200, headers)
        handler.close_connection = True

    return behave


def status(code, body=b"no such file"):
    return lambda handler, content, first: send(handler, body, code)


def page(handler, content, first):
    send(handler, b"<!DOCTYPE html><html><body>Please sign in</body></html>", headers={"Content-Type": "text/html"})


def pointer(handler, content, first):
    send(handler, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 46830571\n")
