"""Every verb on a booted Debian with a real systemd, typed as a user types it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable

import pytest

from machine.audit_log import LOG, overwrite
from machine.server import FOLDER, UNITS, Server

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module", params=["trixie"])
def suite(request: pytest.FixtureRequest) -> str:
    """One suite is enough for the verbs; test_cli_lifecycle.py sets up both."""
    return str(request.param)


@pytest.fixture(autouse=True)
def as_configured(server: Server) -> None:
    """Let each test begin with the stack as first configured."""
    server.configure()
    server.succeed("apply", "--yes", "--quiet")


def wait_for(condition: Callable[[], object]) -> None:
    """Return when the condition holds; fail when it does not within a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_everything_is_proven_and_said_where(server: Server) -> None:
    document = server.document("setup", "--observability", "--yes")
    assert document["outcome"] == "unchanged"
    assert document["urls"]["front door"] == "https://observability.example.org/"
    assert server.machine.succeed(["test", "-s", f"{FOLDER}/{document['password_file']}"]).code == 0
    health = server.document("health")
    assert health["healthy"] is True
    assert all(gate["passed"] for gate in health["gates"])
    for unit in UNITS:
        assert server.machine.unit_property(unit, "ActiveState") == "active"


def test_a_second_apply_touches_nothing(server: Server) -> None:
    pids, traces = server.pids(), server.traces()
    assert server.document("apply", "--yes")["outcome"] == "unchanged"
    assert server.pids() == pids
    assert server.traces() == traces


def test_a_plan_tells_what_the_apply_then_does(server: Server) -> None:
    server.configure(prometheus={"scrape_interval": "3s"})
    pids, traces = server.pids(), server.traces()
    plan = server.document("plan")
    assert server.traces() == traces
    acting = [unit for unit in plan["units"] if unit["action"] != "none"]
    assert [(unit["unit"], unit["action"]) for unit in acting] == [("prometheus", "reload")]
    changed = {change["path"]: change for change in plan["files"]}
    assert "+  scrape_interval: 3s" in changed["etc/prometheus/prometheus.yml"]["text"]

    done = server.document("apply", "--yes")
    assert done["generation"] == plan["generation"]
    assert [unit for unit in done["units"] if unit["action"] != "none"] == acting
    assert server.pids() == pids


def test_a_new_password_is_never_shown(server: Server) -> None:
    password = "quite another long pass phrase"
    server.machine.succeed(f"cp -a {FOLDER}/config/secrets/admin-password /root/kept")
    server.machine.write(f"{FOLDER}/config/secrets/admin-password", f"{password}\n", 0o600)
    shown = [server.succeed("plan", "--verbose"), server.succeed("plan", "--json")]
    shown += [server.succeed("apply", "--yes"), server.succeed("generations", "list")]
    server.machine.succeed(f"mv /root/kept {FOLDER}/config/secrets/admin-password")
    for result in shown:
        assert password not in result.stdout + result.stderr
    assert "secret, content not shown" in shown[0].stdout


def test_drift_is_seen_and_healed(server: Server) -> None:
    pids = server.pids()
    server.machine.succeed("echo '# by hand' >> /etc/prometheus/prometheus.yml; chmod 666 /etc/nginx/nginx.conf")
    server.machine.succeed("rm /etc/alertmanager; systemctl stop blackbox-exporter")
    seen = server.document("drift", code=1)["drift"]
    assert {item["kind"] for item in seen} == {"file-changed", "mode-changed", "link-missing", "unit-stopped"}

    healed = server.document("apply", "--yes")
    assert (healed["outcome"], len(healed["drift"])) == ("committed", len(seen))
    assert server.document("drift")["drift"] == []
    after = server.pids()
    assert after.pop("blackbox-exporter") != pids.pop("blackbox-exporter")
    assert after["node-exporter"] == pids["node-exporter"]


def test_rollback_by_each_of_its_ways(server: Server) -> None:
    first = server.document("status")["generation"]
    server.configure(prometheus={"scrape_interval": "4s"})
    second = server.document("apply", "--yes")["generation"]

    assert server.document("rollback", "--auto")["generation"] == first
    assert server.document("rollback", "--to", second[:12])["generation"] == second
    script = ["./scripts/rollback-deployment.sh", "--auto", "--json", "--quiet"]
    assert server.machine.succeed(script, directory=FOLDER).json()["generation"] == first

    listed = server.document("rollback", "--list")["generations"]
    assert listed == server.document("generations", "list")["generations"]
    times = {item["identity"]: item["committed"] for item in listed}
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(times[second][0] + 1))
    script = ["./scripts/rollback-deployment.sh", "--backup", moment, "--json", "--quiet"]
    assert server.machine.succeed(script, directory=FOLDER).json()["generation"] == second

    assert server.document("rollback", "--backup", "20200101T000000Z", code=2)["error"]["code"] == "generation-unknown"
    assert server.document("rollback", "--to", "ffffffff", code=2)["error"]["code"] == "generation-unknown"
    assert server.document("status")["generation"] == second


def test_generations_are_shown_compared_and_pruned(server: Server) -> None:
    first = server.document("status")["generation"]
    server.configure(prometheus={"scrape_interval": "6s"})
    second = server.document("apply", "--yes")["generation"]

    assert server.document("generations", "show", second[:10])["manifest"]["node"] == "mon-1"
    difference = server.document("generations", "diff", first[:12], second[:12])
    assert "etc/prometheus/prometheus.yml" in [change["path"] for change in difference["files"]]
    removed = server.document("generations", "prune", "--keep", "1")["removed"]
    assert first in removed
    assert [item["identity"] for item in server.document("generations", "list")["generations"]] == [second]
    assert server.document("health")["healthy"] is True


def test_every_verb_calls_the_machine_as_the_configuration_does(server: Server) -> None:
    server.configure(server={"name": "db-1"})
    assert server.document("apply", "--yes")["node"] == "db-1"
    for verb in (("plan",), ("status",), ("health",), ("drift",), ("recover",), ("generations", "list")):
        assert server.document(*verb)["node"] == "db-1"
    ended = server.exits(2, "uninstall")
    assert "All units of the stack on db-1 are stopped" in ended.stderr
    run = server.exits(0, "rollback", "--auto")
    assert run.stdout.startswith("db-1: ")
    assert "db-1: gate: " in run.stderr
    assert server.document("status")["node"] == "mon-1"


def test_a_shell_completes_what_the_machine_keeps_for_every_user(server: Server) -> None:
    for words, found in (
        ("logs no", "node-exporter"),
        (f"rollback --to {server.current()[:4]}", server.current()[:12]),
    ):
        asked = (
            f"COMP_WORDS='observability {words}' COMP_CWORD={len(words.split())} _OBSERVABILITY_COMPLETE=bash_complete"
        )
        done = server.machine.succeed(f"cd {FOLDER}; runuser -u games -- env {asked} ./observability")
        assert (done.stdout, done.stderr) == (f"plain,{found}\n", "")


def test_logs_are_read_by_unit_and_pattern(server: Server) -> None:
    server.machine.succeed("systemctl reload prometheus")
    lines = server.document("logs", "prometheus", "--grep", "Completed loading", "--since", "1h")["lines"]
    assert lines
    assert {line["unit"] for line in lines} == {"prometheus"}
    assert server.document("logs", "no-such-unit", code=2)["error"]["code"] == "unit-unknown"

    following = server.start("logs", "node-exporter", "--follow", "--json", "--lines", "1")
    wait_for(lambda: following.so_far().stdout)  # the last line; what comes after it is new
    server.machine.succeed("systemctl restart node-exporter")
    wait_for(lambda: "Started" in following.so_far().stdout)
    following.signal(signal.SIGINT)
    result = following.wait()
    assert result.code == 0, str(result)
    assert any("Started" in json.loads(line)["message"] for line in result.stdout.splitlines()), str(result)


def test_another_run_is_named_and_waited_for(server: Server) -> None:
    holding = server.machine.start(["flock", "/var/lib/observability/lock", "sleep", "600"])
    server.machine.wait_until_succeeds(["pgrep", "-f", "sleep 600"])
    refused = server.exits(5, "apply", "--yes", "--quiet")
    assert "error[lock-held]" in refused.stderr
    waiting = server.start("apply", "--yes", "--quiet", "--wait", "60")
    server.machine.wait_until_succeeds(["pgrep", "-f", "agent.*serve"])
    assert not waiting.finished
    holding.kill()
    server.machine.run(["pkill", "-f", "sleep 600"])
    assert waiting.wait().code == 0


def test_an_interrupted_apply_puts_everything_back(server: Server) -> None:
    before, pids = server.document("status")["generation"], server.pids()
    server.configure(prometheus={"scrape_interval": "7s", "evaluation_interval": "60s"})
    running = server.start("apply", "--yes")
    wait_for(lambda: "gate: " in running.so_far().stderr)
    running.signal(signal.SIGINT)
    result = running.wait(120)
    assert result.code == 130, str(result)
    assert f"rolled back to generation {before[:12]}" in result.stderr
    assert server.document("status")["generation"] == before
    assert server.pids() == pids


def test_a_change_that_does_not_work_is_undone(server: Server) -> None:
    before = server.document("status")["generation"]
    stranger = server.machine.start(["python3", "-m", "http.server", "--bind", "127.0.0.1", "9555"])
    server.machine.wait_until_succeeds("bash -c '</dev/tcp/127.0.0.1/9555'")
    server.configure(node_exporter={"port": 9555})
    findings = server.document("preflight", "--observability-vps", code=1)["findings"]
    assert [finding["code"] for finding in findings if finding["severity"] == "block"] == ["port-busy"]
    document = server.document("apply", "--yes", code=3)
    stranger.kill()
    server.machine.run(["pkill", "-f", "http.server"])
    assert document["outcome"] == "rolled-back"
    assert document["error"]["state"].startswith(f"rolled back to generation {before[:12]}, its gates are green")
    assert server.document("health")["generation"] == before


def test_what_is_wrong_in_the_configuration_is_told_with_its_place(server: Server) -> None:
    traces = server.traces()
    server.configure(prometheus={"scrape_intervall": "2s", "retention_time": "soon"}, domain="not a name")
    for verb in (("config", "validate"), ("plan",), ("apply", "--yes"), ("setup", "--observability", "--yes")):
        result = server.run(*verb)
        assert result.code == (1 if verb[0] == "setup" else 2), str(result)
        assert "scrape_interval" in result.stdout + result.stderr
        assert "config/global.yaml:" in result.stdout + result.stderr
    assert server.traces() == traces


def test_the_stack_comes_back_after_a_reboot(server: Server) -> None:
    generation = server.document("status")["generation"]
    server.machine.reboot()
    for unit in UNITS:
        server.machine.wait_for_unit(unit)
    server.machine.wait_until_succeeds(["sh", "-c", f"cd {FOLDER}; ./observability health"], timeout_s=60)
    status = server.document("status")
    assert (status["generation"], status["drift"]) == (generation, [])


@pytest.mark.security
def test_the_audit_log_is_shown_and_an_altered_one_is_told(server: Server) -> None:
    server.configure(prometheus={"external_labels": {"region": "eu"}})
    changed = server.apply()
    shown = server.document("audit", "show", "--since", "10m")
    assert shown["node"] == "mon-1"
    last = shown["entries"][-1]
    assert (last["transaction"], last["after"]) == (changed["transaction"], changed["generation"])
    assert last["who"]["controller_host"] == "mon-1"
    text = server.succeed("audit", "show").stdout
    assert "root@mon-1" in text.splitlines()[-1]
    assert server.password() not in text

    intact = server.document("audit", "verify")
    assert intact["intact"] is True
    assert intact["remembered"] == intact["entries"] == intact["witnessed"] == last["sequence"]
    whole = server.machine.succeed(["cat", LOG]).stdout.splitlines()
    overwrite(server.machine, [whole[0].replace("root", "nobody"), *whole[1:]])
    broken = server.exits(1, "audit", "verify")
    assert "mon-1: BROKEN at entry 1 [entry-changed]" in broken.stdout
    assert "  do:    keep a copy of" in broken.stdout
    assert server.document("audit", "verify", code=1)["breaches"][0]["entry"] == 1
    overwrite(server.machine, whole)
    server.succeed("audit", "verify")
