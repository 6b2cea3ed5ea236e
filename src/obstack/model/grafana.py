"""Configuration of Grafana, for sites that look at their dashboards with it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from obstack.model.base import Section
from obstack.model.scalars import ByteSize, HostName, HttpUrl, LoopbackPort, Name, Port, SecretReference, Text


class DashboardEngine(StrEnum):
    """What draws the dashboards beside the pages that are always there."""

    CONSOLE = "console"
    GRAFANA = "grafana"


class SignIn(StrEnum):
    """Who asks people who they are before Grafana lets them in."""

    FRONT_DOOR = "front-door"
    OWN = "own"
    OIDC = "oidc"


class Dashboards(Section):
    """What draws the dashboards."""

    engine: DashboardEngine = Field(
        default=DashboardEngine.CONSOLE,
        description="What draws them: console (pages that Prometheus fills in) or grafana (these pages and Grafana).",
        examples=["grafana"],
    )


class Oidc(Section):
    """A provider of OpenID Connect that people sign in with."""

    name: Text = Field(default="single sign-on", description="What the button says.", examples=["example.org"])
    client_id: Text = Field(description="The client's identity at the provider.", examples=["grafana"])
    client_secret: SecretReference = Field(
        description="Where the client's secret is kept.", examples=["secret:grafana-client-secret"]
    )
    authorize_url: HttpUrl = Field(
        description="Address of the authorization endpoint.", examples=["https://sso.example.org/authorize"]
    )
    token_url: HttpUrl = Field(description="Address of the token endpoint.", examples=["https://sso.example.org/token"])
    api_url: HttpUrl = Field(
        description="Address of the user information endpoint.", examples=["https://sso.example.org/userinfo"]
    )
    scopes: tuple[Name, ...] = Field(
        default=("openid", "profile", "email"), description="Scopes that are asked for.", examples=[["openid", "email"]]
    )
    role: Text | None = Field(
        default=None,
        description="JMESPath expression over what the provider says of somebody; it ends in Viewer, Editor or Admin.",
        examples=["contains(groups[*], 'operators') && 'Editor' || 'Viewer'"],
    )


class GrafanaDatabase(Section):
    """A PostgreSQL database that Grafana keeps its own things in."""

    host: HostName = Field(description="Machine of the database.", examples=["db-1.example.org"])
    port: Port = Field(default=5432, description="Its port.", examples=[5432])
    name: Name = Field(default="grafana", description="Name of the database.", examples=["grafana"])
    user: Name = Field(default="grafana", description="Who logs in.", examples=["grafana"])
    password: SecretReference = Field(
        description="Where the password is kept.", examples=["secret:grafana-database-password"]
    )


class Grafana(Section):
    """Grafana. It runs where dashboards.engine is grafana."""

    port: LoopbackPort = Field(
        default=3000,
        description="Loopback port of its metrics; of all of it under a private root.",
        examples=[3000],
    )
    sign_in: SignIn = Field(
        default=SignIn.FRONT_DOOR,
        description="Who asks people who they are: front-door (who has passed it is known to Grafana, with that role), "
        "own (Grafana's users and its form) or oidc (a provider). For the last two Grafana's path is open.",
        examples=["oidc"],
    )
    oidc: Oidc | None = Field(
        default=None,
        description="The provider that people sign in with; needed by sign_in: oidc.",
        examples=[
            {
                "client_id": "grafana",
                "client_secret": "secret:grafana-client-secret",
                "authorize_url": "https://sso.example.org/authorize",
                "token_url": "https://sso.example.org/token",
                "api_url": "https://sso.example.org/userinfo",
            }
        ],
    )
    anonymous: bool = Field(
        default=False,
        description="Whether everybody who reaches Grafana may look at the dashboards without signing in.",
        examples=[False],
    )
    admin_password: SecretReference = Field(
        default="secret:grafana-admin-password",
        description="Where the password of Grafana's own administrator is kept; it counts when the database is made.",
        examples=["secret:grafana-admin-password"],
    )
    secret_key: SecretReference = Field(
        default="secret:grafana-secret-key",
        description="Where the key is kept by which Grafana encrypts what it keeps; without it that is lost.",
        examples=["secret:grafana-secret-key"],
    )
    postgres: GrafanaDatabase | None = Field(
        default=None,
        description="A PostgreSQL database in place of the file of SQLite. It is copied by its owner, not by us.",
        examples=[{"host": "db-1.example.org", "password": "secret:grafana-database-password"}],
    )
    memory_max: ByteSize = Field(default="1GB", description="Most memory that the unit may use.", examples=["1GB"])
