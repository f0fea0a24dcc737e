# Sourced by .ci/run: Debian packages, also where another apt or dpkg is at work.

run_apt() {  # apt-get with the given arguments; as long as another process holds one of its locks, at most $APT_WAIT_S, again
    # DPkg::Lock::Timeout would do for dpkg's lock, but not for that of the lists, which `update` takes.
    local said deadline=$((SECONDS + ${APT_WAIT_S:-300}))
    until said=$(LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" 2>&1); do
        if [[ "$said" != *"Could not get lock"* ]] || [ "$SECONDS" -ge "$deadline" ]; then
            printf '%s\n' "$said" >&2
            return 1
        fi
        sleep 1
    done
}
