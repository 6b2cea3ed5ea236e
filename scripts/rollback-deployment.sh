#!/bin/sh
# Goes back to an earlier generation: see `observability rollback --help`.
#
#     scripts/rollback-deployment.sh --auto
#     scripts/rollback-deployment.sh --backup 20261124T101500Z
set -eu
cd -P "$(dirname "$0")/.."
exec ./observability rollback "$@"
