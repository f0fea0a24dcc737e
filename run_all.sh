#!/usr/bin/env bash
# From data to report: makes the environment if there is none, then hands all arguments to `emotion run`.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/scripts/environment.sh"
enter_environment report download search
# -P: a folder of the caller must not shadow a module
exec "$python" -P -m emotion_utils run "$@"
