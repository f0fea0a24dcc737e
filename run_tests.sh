#!/usr/bin/env bash
# Makes the environment if there is none, then runs pytest with the given arguments.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/scripts/environment.sh"
enter_environment report download search edge tracking video test
cd -- "$checkout"
exec "$python" -m pytest "$@"
