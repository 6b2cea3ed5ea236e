#!/bin/sh
# Makes the virtual environment ENVIRONMENT with the packages of LOCKFILE, whose hashes pip verifies:
#
#     scripts/bootstrap.sh ENVIRONMENT LOCKFILE
#
# Works where only python3 is installed. The environment is built aside and renamed when complete, so an interrupted
# run leaves nothing that counts; two runs at once wait for each other. Progress goes to standard error.
set -eu

environment=$1
lockfile=$2
checkout=$(cd -P "$(dirname "$0")/.." && pwd)
oldest="3, 11"

say() {
    printf '%s\n' "$*" >&2
}

# fail CODE WHAT WHERE DO EXIT: the shape of every error of this project, see src/obstack/errors.py.
fail() {
    say "error[$1] $2"
    say "  where: $3"
    say "  state: nothing outside $(dirname "$environment") was touched"
    say "  do:    $4"
    exit "$5"
}

# The full name of the newest interpreter that is new enough, with links resolved: /usr/bin/python3.11.
find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        "$name" -I -c "
import os, sys
if sys.version_info < ($oldest):
    sys.exit(1)
print(os.path.realpath(sys.executable))" 2>/dev/null && return 0
    done
    return 1
}

# The pip wheel that ensurepip or the distribution keeps on this machine, if any.
find_pip_wheel() {
    "$python" -I -c '
import glob, importlib.util, os, sys
folders = ["/usr/share/python-wheels"]
specification = importlib.util.find_spec("ensurepip")
if specification is not None:
    folders.insert(0, os.path.join(os.path.dirname(specification.origin), "_bundled"))
wheels = [wheel for folder in folders for wheel in glob.glob(os.path.join(folder, "pip-*.whl"))]
print(wheels[0] if wheels else "")'
}

# Takes the pip wheel from the machine's own Debian mirror, verified by apt, with an apt state of our own: no root
# is needed and nothing gets installed.
download_pip_wheel() {
    command -v apt-get >/dev/null || return 1
    apt=$partial.apt
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/unpacked"
    set -- -q -o "Dir::State=$apt/state" -o Dir::State::status=/var/lib/dpkg/status -o "Dir::Cache=$apt/cache" \
        -o Debug::NoLocking=1 -o APT::Sandbox::User=root
    say "  taking pip from the machine's Debian mirror"
    # A source of the machine that cannot be reached is no reason to give up: the download decides.
    apt-get "$@" update >"$apt/log" 2>&1 || true
    (cd "$apt" && apt-get "$@" download python3-pip-whl >>"$apt/log" 2>&1) || {
        tail -n 20 "$apt/log" >&2
        return 1
    }
    dpkg-deb -x "$apt"/python3-pip-whl_*.deb "$apt/unpacked"
    set -- "$apt/unpacked"/usr/share/python-wheels/pip-*.whl
    pip_wheel=$1
}

install_packages() {
    pip_wheel=$(find_pip_wheel)
    if [ -z "$pip_wheel" ] && "$python" -m pip --python "$partial/bin/python" --version >/dev/null 2>&1; then
        set -- "$python" -m pip --python "$partial/bin/python"
    else
        if [ -z "$pip_wheel" ]; then
            download_pip_wheel || fail pip-missing "No pip was found, and none could be had from the Debian mirror." \
                "$python, apt-get download python3-pip-whl" \
                "check the network and /etc/apt, or as root: apt-get install python3-venv" 6
        fi
        set -- "$partial/bin/python" "$pip_wheel/pip"
    fi
    say "  installing the packages of $lockfile"
    # Only wheels: what is installed is exactly what was hashed, and nothing is built here.
    "$@" install --quiet --quiet --disable-pip-version-check --no-input --no-deps --require-hashes --only-binary=:all: \
        --requirement "$checkout/$lockfile" >&2 ||
        fail packages-missing "The packages could not be installed." "pip install --requirement $checkout/$lockfile" \
            "check the network and pip's settings, then run the same command again" 6
}

# Our own modules are found through a path file: relative while the environment lies in the checkout, so that the
# checkout can be moved.
link_sources() {
    source_folder=$checkout/src
    [ "$environment" = "$checkout/.venv" ] && source_folder=../../../../src
    for packages in "$partial"/lib/python3*/site-packages; do
        printf '%s\n' "$source_folder" >"$packages/observability-stack.pth"
    done
}

# Scripts carry the path of the folder they were installed in.
correct_scripts() {
    grep -rlIF "$partial" "$partial/bin" | while read -r script; do
        sed -i "s|$partial|$environment|g" "$script"
    done
}

mkdir -p "$(dirname "$environment")" 2>/dev/null && [ -w "$(dirname "$environment")" ] ||
    fail environment-unwritable "The virtual environment has no place." "$environment cannot be written" \
        "set XDG_CACHE_HOME to a folder of yours, or clone the repository to a folder of yours" 2

# The kernel lets go of the lock when this process ends, however it ends.
exec 9>"$environment.lock"
flock --nonblock 9 || {
    say "Another first start is making $environment; waiting for it."
    flock 9
}
if [ -x "$environment/bin/python" ] && cmp -s "$checkout/$lockfile" "$environment/$lockfile"; then
    exit 0
fi

python=$(find_python) || fail python-too-old "No Python 3.11 or newer was found." "PATH" \
    "as root: apt-get install python3    (Debian 12 or newer, Ubuntu 24.04 or newer)" 2

say "Making the virtual environment $environment with $python (once)"
partial=$environment.partial
rm -rf "$partial" "$partial.apt"
"$python" -I -m venv --without-pip "$partial"
install_packages
link_sources
correct_scripts
cp "$checkout/requirements.lock" "$partial/requirements.lock"
cp "$checkout/$lockfile" "$partial/$lockfile"
# Made with sudo in a person's checkout: the environment is theirs, as the checkout is.
if [ "$(id -u)" = 0 ]; then
    chown -R --reference="$(dirname "$environment")" "$partial" "$environment.lock"
fi
rm -rf "$partial.apt" "$environment"
mv "$partial" "$environment"
say "  done"
