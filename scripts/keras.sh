# Sourced by .ci/run after scripts/environment.sh. `enter_keras_environment` exports EMOTION_KERAS_PYTHON, the Python that
# the proof of the weights converter asks for a real Keras (tests/models/test_keras_proof.py).
#
# An environment of its own: TensorFlow and PyTorch cannot always share a process, and TensorFlow wants an older h5py.

enter_keras_environment() {
    [ -z "${EMOTION_KERAS_PYTHON:-}" ] || return 0
    local root=$checkout/.venv-keras pins marker
    pins=$(grep -v '^h5py==' "$checkout/constraints.txt")
    marker=$root/.finished-$(printf %s "$pins" | sha256sum | cut -c 1-12)
    if [ ! -e "$marker" ]; then
        echo "environment: installing Keras into $root; this is done once and takes about a minute" >&2
        "$(find_python)" -m venv --clear --without-pip "$root"
        printf '%s\n' "$pins" >"$root/constraints.txt"
        "$python" -m pip --python "$root/bin/python" install --quiet --disable-pip-version-check \
            --constraint "$root/constraints.txt" tensorflow-cpu h5py==3.14.0 >&2
        touch "$marker"
    fi
    export EMOTION_KERAS_PYTHON=$root/bin/python
}
