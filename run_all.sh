#!/usr/bin/env bash
# From data to report: makes the environment if there is none, then hands all arguments to `emotion run`.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/scripts/environment.sh"
extras=(report download search)
# Packages that few runs need are installed where the run asks for them.
[[ "$*" != *lite0* ]] || extras+=(edge)
[[ "$*" != *video=* ]] || extras+=(video)
[[ "$*" != *tracking=wandb* ]] || extras+=(tracking)
[[ "$*" != *tracking=tensorboard* ]] || extras+=(tensorboard)
enter_environment "${extras[@]}"
# -P: a folder of the caller must not shadow a module
exec "$python" -P -m emotion_utils run "$@"
