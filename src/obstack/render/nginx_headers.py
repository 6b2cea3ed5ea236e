"""The headers that the front door adds to each answer."""

from __future__ import annotations

from obstack.render.emit import Directive, directive


def proof(digest: str) -> Directive:
    """Given the digest of the configuration, return the header that shows it."""
    # nginx goes on with its old configuration when it cannot load a new one; the gate asks which one answers.
    return directive("add_header", "Observability-Configuration", digest, "always")


def headers(private: bool, policy: str, digest: str) -> list[Directive]:
    """Given the layout's kind, the content policy of a route and the digest, return all headers of its answers."""
    fields = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Content-Security-Policy": policy,
    }
    if not private:
        # Browsers keep this by host name: under a private root's `localhost` it would break other programs' pages.
        fields["Strict-Transport-Security"] = "max-age=63072000"
    return [*(directive("add_header", name, value, "always") for name, value in fields.items()), proof(digest)]
