#!/bin/sh
# Sets this machine up as the server of the stack, with the configuration of this checkout: see
# `observability setup --help`. Options are passed on, such as --yes.
set -eu
cd -P "$(dirname "$0")/.."
exec ./observability setup --observability "$@"
