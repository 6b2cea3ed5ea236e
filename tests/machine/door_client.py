"""Runs on a test machine: asks the front door what standard input lists, and prints the answers.

Of the machine's standard library alone. `python3 door_client.py` takes a JSON document on standard input:
{"host", "port", "address", "authority" (absent: without TLS), "source", "requests": [{"method", "path", "login"?,
"headers"?, "body"? (base64), "cookies"? (false: sends none)}]} and prints a list of {"status", "headers", "text"}.
"""

import base64
import http.client
import json
import socket
import ssl
import sys
from typing import Any


def connect(order: dict[str, Any]) -> socket.socket:
    """Connect from the address that is asked for, with TLS that is verified for the host."""
    source = (order["source"], 0) if order.get("source") else None
    plain = socket.create_connection((order["address"], order["port"]), 10, source)
    if not order.get("authority"):
        return plain
    return ssl.create_default_context(cafile=order["authority"]).wrap_socket(plain, server_hostname=order["host"])


class Connection(http.client.HTTPConnection):
    """A connection as it was ordered, kept for all requests."""

    def __init__(self, order: dict[str, Any]) -> None:
        """Given the order."""
        super().__init__(order["host"], order["port"], timeout=10)
        self.order = order

    def connect(self) -> None:
        """Connect again."""
        self.sock = connect(self.order)


def ask(connection: Connection, request: dict[str, Any], cookies: dict[str, str]) -> dict[str, Any]:
    """Ask once; what the front door gives a login to be known by is kept for it, as a browser does."""
    login = request.get("login")
    headers = {"Host": connection.order["host"], **request.get("headers", {})}
    if login:
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        if login in cookies and request.get("cookies", True):
            headers["Cookie"] = cookies[login]
    connection.request(request["method"], request["path"], base64.b64decode(request.get("body", "")) or None, headers)
    answer = connection.getresponse()
    text = answer.read(100_000).decode("utf-8", "replace")
    if answer.will_close:
        connection.close()
    found = [(name.lower(), value) for name, value in answer.getheaders()]
    for name, value in found:
        if name == "set-cookie" and login:
            cookies[login] = value.partition(";")[0]
    return {"status": answer.status, "headers": dict(found), "text": text}


def main() -> None:
    """Ask everything over one connection."""
    order = json.load(sys.stdin)
    cookies: dict[str, str] = {}
    connection = Connection(order)
    json.dump([ask(connection, request, cookies) for request in order["requests"]], sys.stdout)


if __name__ == "__main__":
    main()
