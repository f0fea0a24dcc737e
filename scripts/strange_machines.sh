#!/usr/bin/env bash
# Runs the smoke profile on machines unlike the one it was written on, as far as one Linux machine can play them, and
# prints a row for each. Needs the environment of ./run_tests.sh; some cases need root, and are left out without.
#
#   scripts/strange_machines.sh              all cases
#   scripts/strange_machines.sh locale_c ... those named
#   scripts/strange_machines.sh python3.13   a Python of that name on the PATH, with an environment of its own (6 GB)
set -euo pipefail
checkout=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
export EMOTION_CACHE_DIR="$work/cache"
all=(odd_path elsewhere not_root no_home locale_c read_only one_core three_gigabytes kaggle colab)

copy() { mkdir -p -- "$1" && git -C "$checkout" archive HEAD | tar -x -C "$1"; }
smoke() { "$1/run_all.sh" --profile smoke --output "$work/run"; }
shared() { EMOTION_VENV="$checkout/.venv" "$@"; }

# A path with spaces and letters beyond ASCII.
odd_path() { copy "$work/Gesichter für später" && shared smoke "$work/Gesichter für später"; }
# Started from another folder.
elsewhere() { cd / && smoke "$checkout"; }
# Somebody without privileges.
not_root() { unshare --user -- "$checkout/run_all.sh" --profile smoke --output "$work/run"; }
no_home() { (unset HOME && smoke "$checkout"); }
locale_c() { LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0 smoke "$checkout"; }
# The checkout cannot be written: the report goes elsewhere.
read_only() {
    copy "$work/checkout"
    unshare --mount -- bash -c 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" &&
        ! touch "$1/x" 2>/dev/null && EMOTION_VENV=$3 "$1/run_all.sh" --profile smoke --output "$2"' \
        - "$work/checkout" "$work/run" "$checkout/.venv"
}
one_core() { taskset --cpu-list 0 "$checkout/run_all.sh" --profile smoke --output "$work/run"; }
# More is killed by the system.
three_gigabytes() {
    local group=/sys/fs/cgroup/strange_machines
    mkdir "$group" && echo 3G >"$group/memory.max" && echo 0 >"$group/memory.swap.max" || return 77
    bash -c 'echo $$ >"$1/cgroup.procs" && exec "$2/run_all.sh" --profile smoke --output "$3"' \
        - "$group" "$checkout" "$work/run"
}
# The platforms' variables, and a Python that has torch already and must stay as it is.
platform() {
    copy "$work/$1"
    local before after list=("$checkout/.venv/bin/python" -m pip freeze)
    before=$("${list[@]}")
    env "$2" PATH="$checkout/.venv/bin:$PATH" "$work/$1/run_all.sh" --profile smoke --output "$work/run"
    after=$("${list[@]}")
    [ "$before" = "$after" ] && [ -d "$work/$1/.venv" ] && [ ! -d "$work/$1"/.venv/lib/python3*/site-packages/torch ]
}
kaggle() { platform kaggle KAGGLE_KERNEL_RUN_TYPE=Interactive; }
colab() { platform colab COLAB_RELEASE_TAG=release; }

# That Python alone is on the PATH, beside all other programs.
other_python() {
    local python folder
    python=$(command -v "$1") && mkdir "$work/bin" && copy "$work/checkout"
    while read -r -d : folder; do
        find -L "$folder" -maxdepth 1 -type f -executable ! -name 'python*' -exec ln -s -t "$work/bin" {} + 2>/dev/null || true
    done <<<"$PATH:"
    ln -s "$python" "$work/bin/$1"
    PATH="$work/bin" EMOTION_VENV="$work/venv" smoke "$work/checkout"
}

printf '| machine | outcome | seconds |\n|---|---|---|\n'
failed=0
for machine in "${@:-${all[@]}}"; do
    rm -rf -- "$work/run" "$work/bin" "$work/checkout" "$work/venv"
    case $machine in python*) play=(other_python "$machine") ;; *) play=("$machine") ;; esac
    started=$SECONDS status=0
    ("${play[@]}") >"$work/$machine.log" 2>&1 || status=$?
    if [ "$status" = 0 ] && [ -s "$work/run/report.html" ] && [ -s "$work/run/report.pdf" ]; then
        outcome="report made"
    elif [ "$status" = 77 ]; then
        outcome="cannot be played here"
    else
        outcome="failed ($status): $(tail -n 1 "$work/$machine.log")" failed=1
    fi
    printf '| %s | %s | %d |\n' "$machine" "$outcome" $((SECONDS - started))
done
exit "$failed"
