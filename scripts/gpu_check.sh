#!/usr/bin/env bash
# Does everything work on this machine's GPU, and how fast? One table at the end; docs/gpus.md says more.
#     scripts/gpu_check.sh [--wheels DIR] [--data SPEC] [--output DIR] [--only CHECK...]
# With --wheels nothing is installed but what lies in DIR, beside a Python that has torch, pandas and scikit-learn.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

arguments=()
wheels=
while [ $# -gt 0 ]; do
    case $1 in
        --wheels | --wheels=*)
            if [ "$1" = --wheels ]; then shift; wheels=${1:-}; else wheels=${1#*=}; fi
            if [ -z "$wheels" ]; then
                echo "error: --wheels needs a folder" >&2
                exit 2
            fi
            shift
            ;;
        *) arguments+=("$1"); shift ;;
    esac
done

if [ -z "$wheels" ]; then
    enter_environment report
else
    ensure_home
    shopt -s nullglob
    files=("$wheels"/*.whl)
    if [ ${#files[@]} = 0 ]; then
        echo "error: no wheels in $wheels; scripts/gpu_wheels.sh DIR collects them on a machine with a network" >&2
        exit 2
    fi
    python=$(command -v python3 || command -v python)
    if ! "$python" -c 'import torch, torchvision' 2>/dev/null; then
        echo "error: $python has no torch with torchvision; activate the environment that has" >&2
        exit 2
    fi
    site=$(mktemp -d)
    trap 'rm -rf -- "$site"' EXIT
    "$python" -m pip install --quiet --no-index --no-deps --no-compile --target "$site" "${files[@]}"
    export PYTHONPATH="$checkout:$site${PYTHONPATH:+:$PYTHONPATH}" PATH="$site/bin:$PATH"
fi
"$python" -P "$checkout/scripts/gpu_check.py" ${arguments[@]+"${arguments[@]}"}
