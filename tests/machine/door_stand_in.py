"""Runs on a test machine in the place of Prometheus, of the machine's standard library alone.

It answers with a page like those of Prometheus's own interface (Debian's packages come without), which shows what it
was asked with; and with an echo by WebSocket, which no program behind the front door offers yet.
"""

import base64
import hashlib
import http.server


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Become a WebSocket, or show the page."""
        key = self.headers.get("Sec-WebSocket-Key")
        if self.headers.get("Upgrade") == "websocket" and key:
            self.echo(key)
        else:
            self.page()

    def echo(self, key: str) -> None:
        """Shake hands, and send back each frame as it came."""
        mark = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(mark).decode())
        self.end_headers()
        while heard := self.connection.recv(4096):
            self.connection.sendall(heard)
        self.close_connection = True

    def page(self) -> None:
        """Show two scripts, and the headers of the request."""
        told = "\n".join(f"{name}: {value}" for name, value in self.headers.items())
        scripts = "<script>start()</script><script type='module' src='x.js'></script>"
        body = f"<html>{scripts}<pre>{told}</pre></html>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Powered-By", "stand-in/1.0")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", 9090), Handler).serve_forever()
