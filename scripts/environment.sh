# Sourced by run_all.sh, run_tests.sh and .ci/run, under `set -euo pipefail`.
# `enter_environment EXTRA...` leaves in $python the interpreter of an environment that has those extras.

checkout=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

# Prints the newest tested Python on the PATH (3.13, 3.12, 3.11), or else any other that is new enough.
find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3 python python3.14; do
        if "$name" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    echo "error: no Python 3.11 or newer (with its venv module) is on the PATH; install one and start again" >&2
    return 1
}

# Jupyter, pip and the caches need a home folder: the account's own, or a private one where there is none.
ensure_home() {
    HOME=${HOME:-$(echo ~)}
    if [ ! -d "$HOME" ] || [ ! -w "$HOME" ]; then
        HOME=${TMPDIR:-/tmp}/emotion_utils-$(id -u)
        mkdir -p -m 700 -- "$HOME"
        if [ ! -O "$HOME" ]; then
            echo "error: $HOME belongs to another user; set HOME to a folder of your own" >&2
            return 1
        fi
    fi
    export HOME
}

enter_environment() {
    local starter
    ensure_home
    starter=$(find_python)
    python=$("$starter" "$checkout/scripts/environment.py" "$@")
    # This checkout comes before any other that the environment may know.
    export PYTHONPATH="$checkout${PYTHONPATH:+:$PYTHONPATH}"
    # A notebook's own plotting backend means nothing to the programs that are started from it.
    case ${MPLBACKEND:-} in module://*) unset MPLBACKEND ;; esac
    # How torch's threads wait for one another; emotion_utils/waiting.py says why.
    if [ -z "${OMP_WAIT_POLICY:-}" ]; then export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}"; fi
}
