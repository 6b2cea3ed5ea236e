"""The headers that the front door adds to each answer, and those of the programs behind it that it does not pass on."""

from __future__ import annotations

from typing import Final

from obstack.render.door_table import Content
from obstack.render.emit import Directive, Expression, directive
from obstack.render.nginx_access import COOKIE, choice

COOKIE_DAYS: Final = 30
RETRY_AFTER_S: Final = 10

POLICIES: Final = {
    Content.PAGE: "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    # The pages of Prometheus and Alertmanager start by a script within the page, which gets the word of this answer;
    # their editors and tables set styles in the page, for which there is no such word.
    Content.INTERFACE: "default-src 'self'; script-src 'self' 'nonce-$request_id'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'",
    # Grafana's own policy (its documentation, content_security_policy_template) without inline scripts of others: it
    # loads its parts by scripts that the first one makes, and compiles some of them.
    Content.APPLICATION: "default-src 'self'; script-src 'self' 'unsafe-eval' 'strict-dynamic' 'nonce-$request_id'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
    Content.DATA: "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
}
"""What a browser may do with an answer (Content-Security-Policy), by what the answer is."""

PERMISSIONS: Final = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "usb",
    )
)

HIDDEN: Final = (
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Content-Security-Policy",
    "Permissions-Policy",
    "Referrer-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-Powered-By",
)
"""What the programs say themselves: one answer has one policy, and pages of others read nothing of ours."""


def proof(digest: str) -> Directive:
    """Given the digest of the configuration, return the header that shows it."""
    # nginx goes on with its old configuration when it cannot load a new one; the gate asks which one answers.
    return directive("add_header", "Observability-Configuration", digest, "always")


def header_maps() -> list[Directive]:
    """Return what headers say by what a route answers with; what no route has answered counts as data."""
    policies = {content.value: Expression(policy) for content, policy in POLICIES.items()}
    attributes = f"Path=/; Max-Age={COOKIE_DAYS * 86400}; Secure; HttpOnly; SameSite=Strict"
    # For a browser that enters for the first time.
    cookie = {"~^yes::(?<door_new_token>.+)$": Expression(f"{COOKIE}=$door_new_token; {attributes}")}
    return [
        choice("$door_content", "$door_policy", POLICIES[Content.DATA], policies),
        choice(
            "$door_content",
            "$door_frames",
            "DENY",
            dict.fromkeys((Content.INTERFACE.value, Content.APPLICATION.value), "SAMEORIGIN"),
        ),
        choice("$status", "$door_retry", "", {"429": str(RETRY_AFTER_S)}),
        choice("$door_entered:$door_known:$door_token", "$door_cookie", "", cookie),
    ]


def headers(private: bool, digest: str) -> list[Directive]:
    """Given the layout's kind and the digest, return all headers of all answers: no location adds any of its own."""
    fields = {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "$door_frames",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": PERMISSIONS,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Content-Security-Policy": "$door_policy",
        "Retry-After": "$door_retry",
    }
    if not private:
        # Browsers keep this by host name: under a private root's `localhost` it would break other programs' pages.
        fields["Strict-Transport-Security"] = "max-age=63072000"
    return [
        *(directive("add_header", name, Expression(value), "always") for name, value in fields.items()),
        # Not on refusals, which also those get who have not entered.
        directive("add_header", "Set-Cookie", Expression("$door_cookie")),
        proof(digest),
    ]
