#!/bin/sh
# Sets this machine up as a host of the server that is named: SERVER_ADDRESS [--ssh USER@SERVER] [--name NAME] …
# Needs python3 and ssh, and no package from anywhere: see --help.
set -eu
cd -P "$(dirname "$0")/.."
exec python3 -I -S -c '
import sys

sys.path.insert(0, sys.argv.pop(1))
from obstack.agent.join import main

sys.exit(main(sys.argv[1:]))
' "$PWD/src" "$@"
