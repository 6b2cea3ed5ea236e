import hashlib
from dataclasses import replace

from obstack.agent.wire import (
    ArchiveEntry,
    ArtifactEntry,
    FileEntry,
    LinkEntry,
    Manifest,
    StateEntry,
    UnitEntry,
    UserEntry,
)
from obstack.plan.diff import Difference, Kind, decide_difference, unified_diff


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file(path: str, content: bytes, *, secret: bool = False, mode: int = 0o644) -> FileEntry:
    return FileEntry(path, digest(content), len(content), mode, secret=secret)


OLD, NEW = b"interval: 15s\nkeep: yes\n", b"interval: 30s\nkeep: yes\n"
CONTENTS = {digest(OLD): OLD, digest(NEW): NEW}
BASE = Manifest(
    "mon-1",
    "observability",
    "systemd",
    files=(file("etc/prometheus/prometheus.yml", OLD), file("etc/nginx/users", b"hash", secret=True)),
    artifacts=(ArtifactEntry("prometheus", "2.53", (ArchiveEntry("p.deb", "00", 1, "deb"),)),),
    links=(LinkEntry("/etc/prometheus", "etc/prometheus"),),
    users=(UserEntry("prometheus"),),
    units=(UnitEntry("prometheus", "units/prometheus.service"),),
)


def difference(before: Manifest | None, after: Manifest) -> Difference:
    return decide_difference(before, after, CONTENTS, CONTENTS)


def test_equal_generations_differ_in_nothing() -> None:
    assert difference(BASE, BASE).empty


def test_the_first_generation_adds_everything() -> None:
    found = difference(None, BASE)
    assert {change.kind for change in found.files} == {Kind.ADDED}
    assert [(change.before, change.after) for change in found.artifacts] == [(None, "2.53")]
    assert [(change.sort, change.subject) for change in found.outward] == [
        ("user", "prometheus"),
        ("link", "/etc/prometheus"),
        ("unit", "prometheus"),
    ]


def test_a_changed_file_shows_its_lines() -> None:
    after = replace(BASE, files=(file("etc/prometheus/prometheus.yml", NEW), BASE.files[1]))
    (change,) = difference(BASE, after).files
    assert change.kind is Kind.CHANGED
    assert change.text is not None
    assert change.text.split("\n")[3:5] == ["-interval: 15s", "+interval: 30s"]


def test_a_secret_is_told_to_differ_but_never_how() -> None:
    secret = b"other hash"
    after = replace(BASE, files=(BASE.files[0], file("etc/nginx/users", secret, secret=True)))
    contents = CONTENTS | {digest(secret): secret, digest(b"hash"): b"hash"}
    (change,) = decide_difference(BASE, after, contents, contents).files
    assert (change.secret, change.text) == (True, None)
    assert "other hash" not in repr(change)


def test_a_file_that_becomes_secret_is_not_shown_either() -> None:
    after = replace(BASE, files=(file("etc/prometheus/prometheus.yml", NEW, secret=True), BASE.files[1]))
    (change,) = difference(BASE, after).files
    assert change.text is None


def test_a_mode_alone_is_a_change() -> None:
    after = replace(BASE, files=(file("etc/prometheus/prometheus.yml", OLD, mode=0o600), BASE.files[1]))
    (change,) = difference(BASE, after).files
    assert (change.text, change.note) == ("", "mode 0644 becomes 0600")


def test_another_archive_is_another_artifact_even_at_the_same_version() -> None:
    after = replace(BASE, artifacts=(ArtifactEntry("prometheus", "2.53", (ArchiveEntry("p.deb", "11", 1, "deb"),)),))
    (change,) = difference(BASE, after).artifacts
    assert (change.kind, change.before, change.after) == (Kind.CHANGED, "2.53", "2.53")


def test_what_is_no_text_or_unknown_has_no_diff() -> None:
    assert unified_diff("x", b"\xff", b"a") is None
    assert unified_diff("x", None, b"a") is None


def test_another_data_format_is_told_and_a_first_one_is_not() -> None:
    def keeping(data_format: str) -> Manifest:
        state = StateEntry("/var/lib/prometheus", data_format)
        return replace(BASE, units=(UnitEntry("prometheus", "units/prometheus.service", state=state),))

    found = [change for change in difference(keeping("two"), keeping("three")).outward if change.sort == "data format"]
    assert [(change.kind, change.subject) for change in found] == [
        (Kind.CHANGED, "/var/lib/prometheus: two becomes three")
    ]
    assert "data format" not in {change.sort for change in difference(BASE, keeping("two")).outward}
