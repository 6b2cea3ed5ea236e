"""What the index says, which version is chosen, and which libraries an artifact takes along."""

from __future__ import annotations

from collections.abc import Iterable

from obstack.catalog.components import Package
from obstack.edges.debian.closure import close
from obstack.edges.debian.index import (
    Dependency,
    PackageVersion,
    choose,
    needed_c_library,
    parse_dependencies,
    parse_packages,
)

INDEX = """\
Package: nginx
Version: 1.22.1-9
Section: httpd
Size: 100
Filename: pool/main/n/nginx/nginx_1.22.1-9_amd64.deb
SHA256: 1111111111111111111111111111111111111111111111111111111111111111
Depends: libc6 (>= 2.34), libssl3 (>= 3.0.0), zlib1g (>= 1:1.1.4) | zlib-ng, iproute2, nginx-common (= 1.22.1-9)

Package: nginx
Version: 1.22.1-9+deb12u11
Section: httpd
Size: 101
Filename: pool/updates/main/n/nginx/nginx_1.22.1-9+deb12u11_amd64.deb
SHA256: 2222222222222222222222222222222222222222222222222222222222222222
Pre-Depends: init-system-helpers
Depends: libc6 (>= 2.34), libssl3 (>= 3.0.0), zlib-ng | zlib1g

Package: libssl3
Version: 3.0.16-1
Section: libs
Size: 102
Filename: pool/main/o/openssl/libssl3_3.0.16-1_amd64.deb
SHA256: 3333333333333333333333333333333333333333333333333333333333333333
Depends: libc6 (>= 2.36), debconf (>= 0.5) | debconf-2.0, libloop

Package: libloop
Version: 1-1
Section: non-free/libs
Size: 103
Filename: pool/main/l/loop/libloop_1-1_amd64.deb
SHA256: 4444444444444444444444444444444444444444444444444444444444444444
Depends: libssl3, libgcc-s1

Package: zlib1g
Version: 1:1.2.13
Section: libs
Size: 104
Filename: pool/main/z/zlib/zlib1g_1.2.13_amd64.deb
SHA256: 5555555555555555555555555555555555555555555555555555555555555555
Depends: libc6 (>= 2.14)

Package: libc6
Version: 2.36-9
Section: libs
Size: 105
Filename: pool/main/g/glibc/libc6_2.36-9_amd64.deb
SHA256: 6666666666666666666666666666666666666666666666666666666666666666

Package: iproute2
Version: 6.1
Section: net
Size: 106
Filename: pool/main/i/iproute2/iproute2_6.1_amd64.deb
SHA256: 7777777777777777777777777777777777777777777777777777777777777777

Package: unsigned
Version: 1
Status: install ok installed
"""

VERSIONS = list(parse_packages(INDEX))


def lookup(names: Iterable[str]) -> list[PackageVersion]:
    wanted = set(names)
    return [version for version in VERSIONS if version.name in wanted]


def newest(name: str) -> PackageVersion:
    found = choose(VERSIONS, name)
    assert found is not None
    return found


def test_only_what_the_signed_index_names_is_a_package() -> None:
    assert [version.name for version in VERSIONS if version.name == "unsigned"] == []
    assert newest("libloop").library
    assert newest("zlib1g").filename == "pool/main/z/zlib/zlib1g_1.2.13_amd64.deb"
    assert newest("zlib1g").size == 104


def test_the_newest_version_is_chosen_or_the_one_asked_for() -> None:
    assert newest("nginx").version == "1.22.1-9+deb12u11"
    exact = choose(VERSIONS, "nginx", "1.22.1-9")
    assert exact is not None
    assert exact.version == "1.22.1-9"
    by_upstream = choose(VERSIONS, "nginx", "1.22.1")
    assert by_upstream is not None
    assert by_upstream.version == "1.22.1-9+deb12u11"
    assert choose(VERSIONS, "nginx", "1.26.0") is None
    assert choose(VERSIONS, "apache2") is None


def test_dependencies_are_read_with_their_alternatives() -> None:
    assert list(parse_dependencies("aa (>= 1:2~), bb:any | cc (<< 3), dd")) == [
        (Dependency("aa", ">=", "1:2~"),),
        (Dependency("bb"), Dependency("cc", "<<", "3")),
        (Dependency("dd"),),
    ]
    assert list(parse_dependencies("")) == []


def test_the_libraries_of_libraries_come_along_and_nothing_else() -> None:
    root = Package("nginx", ("usr/sbin/nginx",))
    found = close([(root, newest("nginx"))], lookup)
    assert [version.name for _, version in found] == ["nginx", "libloop", "libssl3", "zlib1g"]
    assert found[0][0] == root
    assert {package.only for package, _ in found[1:]} == {("lib", "usr/lib")}


def test_a_package_that_is_not_followed_brings_nothing_along() -> None:
    root = Package("nginx", ("usr/sbin/nginx",), followed=False)
    assert [version.name for _, version in close([(root, newest("nginx"))], lookup)] == ["nginx"]


def test_the_c_library_must_be_new_enough_for_all() -> None:
    packages = [version for _, version in close([(Package("nginx", ("usr",)), newest("nginx"))], lookup)]
    assert needed_c_library(packages) == "2.36"
    assert needed_c_library([newest("iproute2")]) == "0"
