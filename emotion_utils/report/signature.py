"""A signature over checksums.sha256 in OpenSSH's format: who signed a finished run. No torch.

ssh-keygen makes and checks it, so whoever has an SSH key can sign, and nobody needs this project to check. It shows who
vouches for the run, not that what they vouch for is true.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import MOST_JSON_BYTES, read_bytes, replacing
from emotion_utils.report.checksums import CHECKSUMS, SIGNATURE
from emotion_utils.run import Run

PROGRAM = "ssh-keygen"  # of OpenSSH 8.2 or later
NAMESPACE = "emotion-report"  # a signature for anything else is none for a report
MOST_KEY_BYTES = 1 << 20
KEY_TYPE = r"(?:ssh|ecdsa|sk)-[\w@.-]+"
PUBLIC_KEY = re.compile(rf"{KEY_TYPE}\s+[A-Za-z0-9+/=]+(?:\s.*)?")
SAID_KEY = re.compile(r"with (\S+) key (SHA256:\S+)")


def sign_checksums(run: Run, key: Path) -> None:
    """Writes checksums.sha256.sig beside the list, which the caller has verified.

    `key` is a private key of OpenSSH; one with a passphrase is asked for at the terminal or taken from ssh-agent.
    Raises InputError where there is no such key or no ssh-keygen.
    """
    if b"PRIVATE KEY" not in (content := read_bytes(key, MOST_KEY_BYTES)):
        kind = "a public key" if PUBLIC_KEY.match(content.decode("utf-8", "replace").strip()) else "no key of OpenSSH"
        raise InputError(f"{key}: {kind}; --sign takes a private key, as `ssh-keygen -t ed25519` makes one")
    listed = read_bytes(run.inside(CHECKSUMS), MOST_JSON_BYTES)
    done = _call("sign", "-f", str(key), content=listed)
    if done.returncode:
        said = done.stderr.lower()
        reason = _last_line(done.stderr)
        if "passphrase" in said:
            reason = f"its passphrase is needed: run `ssh-add {key}` first, or this command in a terminal"
        elif "too open" in said:
            reason = f"others can read it, and {PROGRAM} uses no such key: chmod 600 {key}"
        raise InputError(f"{key}: nothing was signed, {reason}")
    try:
        with replacing(run.inside(SIGNATURE)) as temporary:
            temporary.write_text(done.stdout, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write to {run.root}: {error.strerror}") from None


def describe_signature(run: Run, signer: Path | None = None) -> str:
    """Who signed the list of checksums, as words for the line on the result; empty where nobody did.

    `signer` is a public key or a file of allowed signers, as of `man ssh-keygen`: then a signature of one of these must
    be there. Raises EmotionError where it is not, or where the signature is not one of this list; InputError where
    `signer` is no such file.
    """
    path = run.inside(SIGNATURE)
    allowed = _read_allowed(signer) if signer else None
    if not path.exists():
        if signer:
            raise EmotionError(f"{run.root}: nobody has signed it, there is no {SIGNATURE}")
        return ""
    read_bytes(path, MOST_KEY_BYTES)
    listed = read_bytes(run.inside(CHECKSUMS), MOST_JSON_BYTES)
    try:
        done = _call("check-novalidate", "-s", str(path), content=listed)
    except InputError:
        if signer:
            raise
        return f"; {SIGNATURE} was not checked, as {PROGRAM} is not installed here"
    found = SAID_KEY.search(done.stdout)
    if done.returncode or not found:
        reason = _last_line(done.stderr)
        raise EmotionError(f"{path} is no signature of {CHECKSUMS}, or of another list or damaged ({reason})")
    if allowed is None:
        return f"; signed by key {found[2]}, nobody checked whose it is (--signer PUBLIC_KEY does)"
    return f"; signed by {_name_signer(path, listed, allowed, found[2], signer)}, key {found[2]}"


def _read_allowed(signer: Path) -> str:
    """The lines of a file of allowed signers; of a public key, that its owner may sign reports."""
    try:
        lines = read_bytes(signer, MOST_KEY_BYTES).decode("utf-8").splitlines()
    except UnicodeDecodeError:
        lines = []
    lines = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not lines or not all(re.search(rf"(?:^|\s){PUBLIC_KEY.pattern}$", line) for line in lines):
        kind = "a private key" if any("PRIVATE KEY" in line for line in lines) else "no key of OpenSSH"
        raise InputError(f"{signer}: {kind}; --signer takes a public key (.pub) or a file of allowed signers")
    name = re.sub(r"[^\w.@-]", "_", signer.name)
    of_keys = [f"{name} {line}" if PUBLIC_KEY.fullmatch(line) else line for line in lines]
    return "".join(f"{line}\n" for line in of_keys)


def _name_signer(path: Path, listed: bytes, allowed: str, key: str, signer: Path) -> str:
    """Which of the allowed signers made the signature. Raises EmotionError where none of them did."""
    with tempfile.TemporaryDirectory() as folder:
        signers = Path(folder) / "allowed_signers"
        signers.write_text(allowed, encoding="utf-8")
        names = _call("find-principals", "-f", str(signers), "-s", str(path)).stdout.splitlines()
        for name in names:
            if _call("verify", "-f", str(signers), "-I", name, "-s", str(path), content=listed).returncode == 0:
                return name
    raise EmotionError(f"{path}: signed by key {key}, which is none of {signer}")


def _call(action: str, *arguments: str, content: bytes = b"") -> subprocess.CompletedProcess[str]:
    """What ssh-keygen does with `content`. Raises InputError where it is not installed."""
    namespace = [] if action == "find-principals" else ["-n", NAMESPACE]
    command = [PROGRAM, "-Y", action, *namespace, *arguments]
    try:
        done = subprocess.run(
            command, input=content, capture_output=True, env={**os.environ, "LC_ALL": "C"}, check=False
        )
    except FileNotFoundError:
        raise InputError(f"{PROGRAM} is not installed, and makes and checks signatures: install OpenSSH") from None
    said, errors = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(command, done.returncode, said, errors)


def _last_line(said: str) -> str:
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "ssh-keygen does not say why")
