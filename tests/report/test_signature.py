"""A signature over the checksums: who made it is told, and what is none is one line."""

import os
import re
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from emotion_utils.cli import main
from emotion_utils.config import resolve_config
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.report import signature, verify
from emotion_utils.report.checksums import CHECKSUMS, SIGNATURE, read_checksums, remove_checksums, write_checksums
from emotion_utils.report.signature import describe_signature, sign_checksums
from emotion_utils.run import Run

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Private keys: one, another, one of another kind, one with a passphrase."""
    folder = tmp_path_factory.mktemp("keys")
    kinds = {"one": "ed25519", "other": "ed25519", "ecdsa": "ecdsa", "closed": "ed25519"}
    for name, kind in kinds.items():
        secret = "secret" if name == "closed" else ""
        command = ["ssh-keygen", "-q", "-t", kind, "-N", secret, "-C", name, "-f", folder / name]
        subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch):
    """No agent, and no question at a terminal."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")


@pytest.fixture
def run(tmp_path):
    """A run folder with a list of checksums."""
    run = Run.create(tmp_path / "study", resolve_config("smoke"))
    write_checksums(run)
    return run


@pytest.fixture
def signed(run, keys):
    sign_checksums(run, keys / "one")
    return run


def fingerprint(key):
    return subprocess.run(["ssh-keygen", "-lf", key], check=True, capture_output=True, text=True).stdout.split()[1]


def test_unsigned_run_has_nothing_to_tell(run, keys):
    assert describe_signature(run) == ""
    with pytest.raises(EmotionError, match=r"nobody has signed it, there is no checksums\.sha256\.sig"):
        describe_signature(run, keys / "one.pub")


@pytest.mark.parametrize("name", ["one", "ecdsa"])
def test_signature_names_its_key_and_its_signer(run, keys, name):
    sign_checksums(run, keys / name)
    key = fingerprint(keys / name)
    assert f"signed by key {key}, nobody checked whose it is" in describe_signature(run)
    assert describe_signature(run, keys / f"{name}.pub") == f"; signed by {name}.pub, key {key}"


def test_anybody_can_check_it_with_openssh_alone(signed):
    command = ["ssh-keygen", "-Y", "check-novalidate", "-n", "emotion-report", "-s", signed.root / SIGNATURE]
    listed = (signed.root / CHECKSUMS).read_bytes()
    assert b"Good" in subprocess.run(command, input=listed, check=True, capture_output=True).stdout


def test_allowed_signers_are_told_by_their_names(signed, keys, tmp_path):
    one, other = ((keys / f"{name}.pub").read_text(encoding="utf-8") for name in ("one", "other"))
    path = tmp_path / "allowed"
    path.write_text(f'# who may sign\nbo@e.org {other}\nan@e.org,*@f.org namespaces="emotion-report" {one}')
    assert "signed by an@e.org," in describe_signature(signed, path)
    for refused in (f"an@e.org {other}", f'an@e.org namespaces="git" {one}', f'an@e.org valid-before="20200101" {one}'):
        path.write_text(refused)
        with pytest.raises(EmotionError, match=r"signed by key SHA256:\S+, which is none of .*allowed"):
            describe_signature(signed, path)


@pytest.mark.fault("a run that is signed with another key", "E", "refused, and the key is named", group="strangers")
def test_key_of_somebody_else_is_refused(signed, keys):
    key = re.escape(fingerprint(keys / "one"))
    with pytest.raises(EmotionError, match=rf"key {key}, which is none of .*other\.pub"):
        describe_signature(signed, keys / "other.pub")


def test_signature_of_another_list_is_none(signed, keys):
    with (signed.root / CHECKSUMS).open("a", encoding="utf-8") as file:
        file.write(f"{'0' * 64}  more\n")
    for signer in (None, keys / "one.pub"):
        with pytest.raises(EmotionError, match=r"is no signature of checksums\.sha256"):
            describe_signature(signed, signer)
    sign_checksums(signed, keys / "one")  # a new one takes its place
    assert "signed by one.pub" in describe_signature(signed, keys / "one.pub")


def test_signature_for_another_purpose_is_none(run, keys):
    subprocess.run(["ssh-keygen", "-Y", "sign", "-f", keys / "one", "-n", "git", run.root / CHECKSUMS], check=True)
    with pytest.raises(EmotionError, match="is no signature of"):
        describe_signature(run)


@pytest.mark.parametrize("content", ["", "x", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"])
def test_damaged_signature_is_one_line(run, content):
    (run.root / SIGNATURE).write_text(content)
    with pytest.raises(EmotionError, match="is no signature of") as refused:
        describe_signature(run)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("one.pub", "one.pub: a public key; --sign takes a private key"),
        ("missing", "missing: cannot be read"),
        ("text", "text: no key of OpenSSH"),
        ("folder", "folder: a folder in place of a file"),
        ("broken", "broken: nothing was signed"),
        ("open", "others can read it.*: chmod 600"),
        ("closed", "its passphrase is needed: run `ssh-add .*closed` first"),
    ],
)
def test_what_cannot_sign_is_one_line_and_writes_nothing(run, keys, tmp_path, name, named):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("hello")
    (tmp_path / "broken").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    (tmp_path / "broken").chmod(0o600)
    shutil.copyfile(keys / "one", tmp_path / "open")
    (tmp_path / "open").chmod(0o644)
    key = keys / name if (keys / name).exists() else tmp_path / name
    with pytest.raises(InputError, match=named) as refused:
        sign_checksums(run, key)
    assert "\n" not in str(refused.value)
    assert sorted(os.listdir(run.root)) == [CHECKSUMS, "run.json"]


@pytest.mark.parametrize(
    ("name", "named"), [("one", "a private key; --signer takes a public key"), ("no", "no key of")]
)
def test_signer_that_is_no_public_key_is_one_line(signed, keys, tmp_path, name, named):
    (tmp_path / "no").write_bytes(b"\xff\xfe ssh-ed25519\n")
    key = keys / name if (keys / name).exists() else tmp_path / name
    with pytest.raises(InputError, match=f"{name}: {named}"):
        describe_signature(signed, key)


def test_without_ssh_keygen(signed, keys, monkeypatch):
    monkeypatch.setattr(signature, "PROGRAM", "no-such-program")
    assert "was not checked, as no-such-program is not installed" in describe_signature(signed)
    for call in (lambda: describe_signature(signed, keys / "one.pub"), lambda: sign_checksums(signed, keys / "one")):
        with pytest.raises(InputError, match=r"no-such-program is not installed.*install OpenSSH"):
            call()


def test_signature_is_not_in_the_list_and_goes_with_it(signed):
    write_checksums(signed)
    assert set(read_checksums(signed.root)) == {"run.json"}
    remove_checksums(signed)
    assert os.listdir(signed.root) == ["run.json"]


def test_command_signs_only_what_verifies(run, keys, monkeypatch):
    command = ["verify", str(run.root), "--sign", str(keys / "one")]
    monkeypatch.setattr(verify, "verify_run", lambda root: (_ for _ in ()).throw(EmotionError("Table 1 differs")))
    assert CliRunner().invoke(main, command).exit_code == 1
    assert not (run.root / SIGNATURE).exists()
    monkeypatch.setattr(verify, "verify_run", lambda root: "all agrees")
    done = CliRunner().invoke(main, [*command, "--signer", str(keys / "one.pub")])
    assert (done.exit_code, done.output.startswith("all agrees; signed by one.pub, key SHA256:")) == (0, True)
