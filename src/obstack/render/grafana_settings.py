"""The settings of Grafana, by section of grafana.ini, in the words of its documentation ("Configure Grafana")."""

from __future__ import annotations

from typing import Any, Final

from obstack.catalog import capabilities
from obstack.model.grafana import Grafana, Oidc, SignIn
from obstack.model.layout import Layout
from obstack.model.site import Site
from obstack.render import targets
from obstack.render.emit import Expression

SECRETS: Final = "secrets"
USER_HEADER: Final = "X-WEBAUTH-USER"
ROLE_HEADER: Final = "X-WEBAUTH-ROLE"
"""By these the front door says who somebody is; it passes on none that came from outside."""

Settings = dict[str, dict[str, Any]]


def settings(site: Site, layout: Layout, version: str, socket: str) -> Settings:
    """Given the site, the layout, Grafana's version and its socket (empty for loopback), return all settings."""
    grafana, etc, data = site.grafana, layout.etc("grafana"), layout.data("grafana")
    return {
        "paths": _paths(etc, data, version),
        "server": _server(site, socket),
        "database": _database(grafana, etc),
        "security": {
            "admin_user": "admin",
            "admin_password": _file(etc, "admin-password"),
            "secret_key": _file(etc, "secret-key"),
            "disable_gravatar": True,
            "cookie_secure": True,
            "cookie_samesite": "lax",  # a provider of OpenID Connect leads back here from another site
        },
        "users": {"allow_sign_up": False, "allow_org_create": False},
        **_authentication(grafana, etc, socket),
        "dashboards": {"default_home_dashboard_path": f"{etc}/dashboards/Stack/fleet.json"},
        # It asks nobody outside for anything, and takes no program that the lock file does not name.
        "analytics": {
            "reporting_enabled": False,
            "check_for_updates": False,
            "check_for_plugin_updates": False,
            "feedback_links_enabled": False,
        },
        "news": {"news_feed_enabled": False},
        "plugins": {"plugin_admin_enabled": False, "preinstall_disabled": True, "preinstall_auto_update": False},
        "snapshots": {"external_enabled": False},
        "log": {"mode": "console", "level": "info"},
        "log.console": {"format": "text"},
    }


def _paths(etc: str, data: str, version: str) -> dict[str, Any]:
    paths = {
        "data": data,
        "logs": f"{data}/log",
        "plugins": f"{data}/plugins",
        "provisioning": f"{etc}/provisioning",
    }
    if capabilities.grafana_keeps_plugins_apart(version):
        paths["bundled_plugins"] = f"{data}/plugins-bundled-{version}"
    return paths


def _server(site: Site, socket: str) -> dict[str, Any]:
    place: dict[str, Any] = {"protocol": "http", "http_addr": "127.0.0.1", "http_port": site.grafana.port}
    if socket:
        place = {"protocol": "socket", "socket": socket, "socket_mode": "0660"}
    return place | {
        "domain": site.domain,
        "root_url": f"{targets.public_url(site)}/grafana/",
        "serve_from_sub_path": True,
        "router_logging": False,
    }


def _database(grafana: Grafana, etc: str) -> dict[str, Any]:
    if grafana.postgres is None:
        return {"type": "sqlite3", "path": "grafana.db"}
    return {
        "type": "postgres",
        "host": f"{grafana.postgres.host}:{grafana.postgres.port}",
        "name": grafana.postgres.name,
        "user": grafana.postgres.user,
        "password": _file(etc, "database-password"),
        "ssl_mode": "require",
    }


def _authentication(grafana: Grafana, etc: str, socket: str) -> Settings:
    sections: Settings = {
        "auth": {
            "disable_login_form": grafana.sign_in is not SignIn.OWN,
            "disable_signout_menu": grafana.sign_in is SignIn.FRONT_DOOR,
        },
        "auth.anonymous": {"enabled": grafana.anonymous, "org_role": "Viewer"},
        "auth.basic": {"enabled": grafana.sign_in is SignIn.OWN},
        # Always on, for the gates; the front door sends the headers only where it is to say who somebody is.
        "auth.proxy": {
            "enabled": True,
            "header_name": USER_HEADER,
            "header_property": "username",
            "headers": f"Role:{ROLE_HEADER}",
            "auto_sign_up": True,
            "enable_login_token": False,
            # Who may open the socket is decided by its owner and mode; it has no address to compare.
            **({} if socket else {"whitelist": "127.0.0.1"}),
        },
    }
    if grafana.sign_in is SignIn.OIDC and grafana.oidc is not None:
        sections["auth.generic_oauth"] = _oidc(grafana.oidc, etc)
    return sections


def _oidc(oidc: Oidc, etc: str) -> dict[str, Any]:
    return {
        "enabled": True,
        "name": oidc.name,
        "client_id": oidc.client_id,
        "client_secret": _file(etc, "client-secret"),
        "scopes": " ".join(oidc.scopes),
        "auth_url": oidc.authorize_url,
        "token_url": oidc.token_url,
        "api_url": oidc.api_url,
        "allow_sign_up": True,
        "use_pkce": True,
        **({"role_attribute_path": oidc.role, "role_attribute_strict": True} if oidc.role is not None else {}),
    }


def _file(etc: str, name: str) -> Expression:
    """What makes Grafana read a value from a file, so that no secret is in its settings."""
    return Expression(f"$__file{{{etc}/{SECRETS}/{name}}}")
