"""What reads bytes or text that somebody else wrote: each with valid inputs to start from.

Whatever is in a file, it is read, or refused in one line; nothing else ever comes out. A target is a function of a
scratch folder; it returns seeds, and what tries one input and raises where the promise is broken.
"""

import bz2
import copy
import gzip
import io
import json
import lzma
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_run
import h5py
import numpy as np
import onnx
import torch
from face_files import encode, make_image, write_zip

from emotion_utils.config import PROFILES, resolve_config
from emotion_utils.deploy.asked_model import introduce
from emotion_utils.deploy.export import describe
from emotion_utils.deploy.input_images import Faces
from emotion_utils.deploy.input_warnings import Tally
from emotion_utils.deploy.onnx_file import KEY, OnnxNetwork, run_session, start_session
from emotion_utils.deploy.page.write import list_origins, list_warnings
from emotion_utils.deploy.part_table import PartTable
from emotion_utils.deploy.predict_files import FilePredictor
from emotion_utils.deploy.seal import METADATA, VALUE, seal
from emotion_utils.errors import EmotionError
from emotion_utils.models.card import read_card
from emotion_utils.models.input_spec import IMAGENET, InputSpec
from emotion_utils.models.network import plan_network
from emotion_utils.models.reference import reference_pixels
from emotion_utils.models.weights.conversion import CONV_LAYERS
from emotion_utils.models.weights.load import load_weights
from emotion_utils.published.audit import audit_results
from emotion_utils.published.study import read_published
from emotion_utils.published.tables import read_printed_results
from emotion_utils.report.claims import write_claims
from emotion_utils.report.contents import collect_claims
from emotion_utils.report.results import read_results
from emotion_utils.run import Run
from emotion_utils.sources.archives import is_archive, open_archive
from emotion_utils.sources.class_lists import find_names
from emotion_utils.sources.decode import decode_rgb
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.fer_csv import FerCsv
from emotion_utils.sources.files import Files
from emotion_utils.sources.known_layouts import read_known
from emotion_utils.sources.known_sets import KNOWN_SETS
from emotion_utils.sources.label_csv import read_labels
from emotion_utils.sources.source import open_source, open_tree
from emotion_utils.sources.vote_table import add_votes
from emotion_utils.sources.votes import read_votes
from emotion_utils.store.resize import KERNEL

MODEL = "r18_pre_emotion"

Seeds = list[bytes]
Try = Callable[[bytes], None]


def read_or_refuse(read: Callable[..., Any], *arguments: Any) -> Any:
    """What `read` returns, or None where it refuses with its one line."""
    try:
        return read(*arguments)
    except (EmotionError, ImageFault) as error:
        message = str(error)
    assert len(message.splitlines()) == 1
    return None


# -- data ------------------------------------------------------------------------------------------

ROW = " ".join(str(value % 256) for value in range(16))
FER = f"emotion,pixels,Usage\n0,{ROW},Training\n3,{ROW},PublicTest\n6,{ROW},PrivateTest\n".encode()
LABELS = b"path,label,group,split\nhappy/0.png,happy,Ann,train\nhappy/1.png,sad,Bob,test\nsad/0.png,sad,,\n"


OWN_WORDS = [
    b"user.id;image;emotion\n1;0.png;happy\n2;0.png;SAD\n1;1.png;sad\n",
    b"filename, Angry, Happy\n0.png, 0, 1\n1.png, 1, 0\n",
    b"file_name,label,confidence\n0.png,happy,0.8\n1.png,sad,70\n",
    b"sep=;\r\n0.png;happy\r\n1.png;sad\r\n",
    b"image,label,emotion,fold\n0.png,3,happy,0\n1.png,4,sad,1\n",
]
PIXELS = f'sep=,\n"{[*range(256)]}",happy,Training\n"{[*range(256)]}",sad,Testing\n'.encode()


def fer2013_csv(folder: Path) -> tuple[Seeds, Try]:
    path = folder / "fer2013.csv"

    def attempt(content):
        path.write_bytes(content)
        with path.open("rb") as file:
            table = read_or_refuse(FerCsv, path.name, file)
            for name in table.table["path"] if table else ():
                assert isinstance(read_or_refuse(table.read, name), bytes | None)

    return [FER, PIXELS], attempt


class Beside:
    """A tree of one file that is read, among names of images."""

    kind, notes = "folder", ()

    def __init__(self, name, images):
        self.content, self.images, self.names = b"", images, [name, *images]

    def read(self, name):
        return self.content

    def peek(self, name):
        return self.content[:4096]


def relabelling_csv(folder: Path) -> tuple[Seeds, Try]:
    tree = Beside("labels.csv", ["happy/0.png", "happy/1.png", "sad/0.png"])

    def attempt(content):
        tree.content = content
        files = Files(tree, tree.images, tree.names[:1])
        for lenient in (False, True):
            found = read_or_refuse(lambda: read_labels("labels.csv", ["labels.csv"], files, lenient=lenient))  # noqa: B023
            assert not found or found.rows["path"].is_unique

    return [LABELS, *OWN_WORDS], attempt


def class_lists(folder: Path) -> tuple[Seeds, Try]:
    trees = [Beside(name, []) for name in ("classes.txt", "data.yaml", "labels.json", "README.md")]

    def attempt(content):
        for tree in trees:
            tree.content = content
            names, used = read_or_refuse(find_names, "data", Files(tree, [], tree.names), {"0", "1", "2"}) or ({}, [])
            assert set(names) == ({"0", "1", "2"} if used else set())
            assert all(names.values())

    return [
        b"angry\nhappy\nsad\n", b"0: angry\n1 = happy\n2|sad\n", b"names: [angry, happy, sad]\n",
        b"names: {0: a, 1: b, 2: c}",
        b'{"id2label": {"0": "angry", "1": "happy", "2": "sad"}}', b'{"angry": 0, "happy": 1, "sad": 2}',
    ], attempt  # fmt: skip


def jsonl_tables(folder: Path) -> tuple[Seeds, Try]:
    tree = Beside("metadata.jsonl", ["train/0.png", "train/1.png"])

    def attempt(content):
        tree.content = content
        files = Files(tree, tree.images, tree.names[:1])
        found = read_or_refuse(lambda: read_labels("data", ["metadata.jsonl"], files, lenient=True))
        assert not found or found.rows["path"].is_unique

    return [b'{"file_name": "0.png", "label": "happy"}\n{"file_name": "1.png", "label": 3}\n'], attempt


def _label_files(name: str, images: list[str], seed: bytes) -> tuple[Seeds, Try]:
    """The label file of a known set, beside its images."""
    tree = Beside(name, images)
    (known,) = [each for each in KNOWN_SETS if each.signs and each.signs.search(name)]

    def attempt(content):
        tree.content = content
        found = read_or_refuse(read_known, "data", Files(tree, images, [name]), known)
        assert not found or (found.rows["path"].is_unique and set(found.faults) <= set(found.rows["path"]))

    return [seed], attempt


def lists_of_raf_db(folder: Path) -> tuple[Seeds, Try]:
    images = ["a/train_00001_aligned.jpg", "a/test_0001_aligned.jpg"]
    return _label_files("list_patition_label.txt", images, b"train_00001.jpg 5\ntest_0001.jpg 1\n")


def lists_of_expw(folder: Path) -> tuple[Seeds, Try]:
    line = b"a.jpg 0 2 3 40 41 61.5 3\na.jpg 1 2 3 40 41 61.5 6\n"
    return _label_files("label/label.lst", ["image/a.jpg"], line)


def votes_of_ferplus(folder: Path) -> tuple[Seeds, Try]:
    head = b"Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    row = b"Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0\nPublicTest,fer0000001.png,0,9,1,0,0,0,0,0,0,0\n"
    return _label_files("fer2013new.csv", ["t/fer0000000.png", "t/fer0000001.png"], head + row)


def annotations_of_affectnet(folder: Path) -> tuple[Seeds, Try]:
    buffer = io.BytesIO()
    np.save(buffer, np.array("3"))
    return _label_files("train_set/annotations/7_exp.npy", ["train_set/images/7.jpg"], buffer.getvalue())


def emotions_of_ck_plus(folder: Path) -> tuple[Seeds, Try]:
    frame = "S005/001/S005_001_00000011"
    return _label_files(f"Emotion/{frame}_emotion.txt", [f"images/{frame}.png"], b"   3.0000000e+00\n")


def tables_of_votes(folder: Path) -> tuple[Seeds, Try]:
    """As `votes=TABLE`, beside images that have labels."""
    paths = ["train/happy/0.png", "train/sad/1.png", "test/happy/0.png", "test/sad/2.png"]
    source = open_tree("data", Beside("notes.txt", paths), lenient=False)
    source = replace(source, classes=("happy", "sad"))

    def attempt(content):
        (folder / "votes.csv").write_bytes(content)
        found = read_or_refuse(add_votes, source, str(folder / "votes.csv"))
        assert not found or found.table[[*source.table]].equals(source.table)
        for text in found.table["votes"] if found else ():
            assert all(count > 0 for count in read_votes(text).values())

    return [
        b"Usage,Image name,happiness,sadness,NF\nTraining,1.png,4,0,1\nPrivateTest,2.png,0,9,0\n",
        b"file;happy;sad;comment\ntrain/happy/0.png;0.5;0.5;x\ntest/happy/0.png;1;;y\n1;0;3;\n2;1;1;\n",
        b'image,happy,sad\r\n"train\\happy\\0.png",1,0\r\n"1.png",1,7\r\n2.PNG,,3\r\n',
    ], attempt


def split_lists(folder: Path) -> tuple[Seeds, Try]:
    """A list of images, a table of splits, and one of persons, beside folders of classes."""
    images = [f"{name}/{number}.png" for name in ("happy", "sad") for number in range(2)]
    trees = [Beside(name, images) for name in ("train.txt", "splits/val_list.lst", "test", "parts.csv")]

    def attempt(content):
        for tree in trees:
            tree.content = content
            found = read_or_refuse(lambda: open_tree("data", tree, lenient=False))  # noqa: B023
            assert not found or set(found.table["split"]) <= {"", "train", "val", "test"}

    return [
        b"happy/0.png\nhappy/1.png\nsad/0.png\nsad/1.png\n",
        b'./happy/0.png 0\nC:\\faces\\happy\\1.png,0\n"sad/0.png"\t1\nsad/1 1\n',
        b"image,split\nhappy/0.png,train\nhappy/1.png,val\nsad/0.png,train\nsad/1.png,test\n",
        b"image,person,age\nhappy/0.png,p1,20\nhappy/1.png,p2,31\nsad/0.png,p1,20\nsad/1.png,p2,31\n",
    ], attempt


def any_table(folder: Path) -> tuple[Seeds, Try]:
    """As `--data TABLE`, beside three images."""
    for number in range(3):
        (folder / f"{number}.png").write_bytes(b"")

    def attempt(content):
        (folder / "table.csv").write_bytes(content)
        read_or_refuse(lambda: open_source(str(folder / "table.csv"), lenient=True))

    return [
        LABELS,
        *OWN_WORDS,
        FER,
        FER.decode().encode("utf-16"),
        FER.decode().encode("utf-32"),
        FER.replace(b"\n", b"\r"),
    ], attempt


def image_files(folder: Path) -> tuple[Seeds, Try]:
    def attempt(content):
        rgb = read_or_refuse(decode_rgb, content)
        assert rgb is None or (rgb.dtype == np.uint8 and rgb.shape[2] == 3)

    return [encode(make_image(1), kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")], attempt


MEMBERS = {"happy/0.png": b"0123456789", f"sad/{'n' * 110}.png": b"abc", "labels.csv": LABELS}


def zip_members(folder: Path) -> tuple[Seeds, Try]:
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    seeds = [write_zip(folder / "a.zip", MEMBERS, method).read_bytes() for method in methods]
    return seeds, _every_member(folder / "changed")


def tar_members(folder: Path) -> tuple[Seeds, Try]:
    """Their checksums are put right after the changes, so that what a header says is looked at."""
    attempt_one = _every_member(folder / "changed")

    def attempt(content):
        attempt_one(content)
        attempt_one(_with_checksums(content))

    return [_tar(kind) for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)], attempt


def compressed_tars(folder: Path) -> tuple[Seeds, Try]:
    seeds = [compress(_tar(tarfile.GNU_FORMAT)) for compress in (gzip.compress, bz2.compress, lzma.compress)]
    return seeds, _every_member(folder / "changed")


def _every_member(path: Path) -> Try:
    """Opens an archive and reads all of it, in each way in which it can be read."""

    def attempt(content):
        path.write_bytes(content)
        tree = is_archive(path) and read_or_refuse(open_archive, path)
        for name in tree.names if tree else ():
            for read in (tree.read, tree.peek, tree.open):
                read_or_refuse(read, name)

    return attempt


def _tar(kind: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for name, content in MEMBERS.items():
            member = tarfile.TarInfo(name if kind != tarfile.USTAR_FORMAT else name[-90:])
            member.size = len(content)
            member.pax_headers = {"size": str(len(content)), "comment": "x"}
            archive.addfile(member, io.BytesIO(content))
        for link, target in ((tarfile.LNKTYPE, "happy/0.png"), (tarfile.SYMTYPE, "0.png")):
            member = tarfile.TarInfo(f"happy/{link.decode()}.png")
            member.type, member.linkname = link, target
            archive.addfile(member)
    return buffer.getvalue()[:8192]  # without most of the padding


def _with_checksums(content: bytes) -> bytes:
    data = bytearray(content)
    for at in range(0, len(data) - 511, 512):
        if data[at + 257 : at + 262] == b"ustar":
            data[at + 148 : at + 156] = b" " * 8
            data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return bytes(data)


# -- runs and settings -----------------------------------------------------------------------------


def manifest(folder: Path) -> tuple[Seeds, Try]:
    return _table_of_a_run(folder, "data/manifest.csv", lambda run: run.read("manifest"))


def history(folder: Path) -> tuple[Seeds, Try]:
    return _table_of_a_run(folder, f"models/{MODEL}/history.csv", lambda run: run.read("history", MODEL))


def predictions(folder: Path) -> tuple[Seeds, Try]:
    return _table_of_a_run(folder, f"models/{MODEL}/predictions.csv", lambda run: run.read("predictions", MODEL))


def _table_of_a_run(folder: Path, name: str, read: Callable[[Run], Any]) -> tuple[Seeds, Try]:
    run = fake_run.make_run(folder / "run", skills={MODEL: 0.7}, images=12, epochs=2, broken=1)
    path = run.root / name

    def attempt(content):
        path.write_bytes(content)
        read_or_refuse(read, run)

    return [path.read_bytes()], attempt


def json_files(folder: Path) -> tuple[Seeds, Try]:
    """Each JSON file of a run, told apart by what it holds."""
    run = fake_run.make_run(folder / "run", skills={MODEL: 0.7}, images=60, epochs=2, broken=1)
    write_claims(run, collect_claims(read_results(run)))
    names = ("facts", "audit", "model_card", "events", "test_openings", "claims")
    paths = [run.path(name, MODEL) for name in names]

    def attempt(content):
        path = folder / "changed"
        path.write_bytes(content)
        for name, artefact in zip(names, paths, strict=True):
            reader = copy.copy(run)
            reader.path = lambda *_, suffix=artefact.suffix: path.with_suffix(suffix)
            path.with_suffix(artefact.suffix).write_bytes(content)
            read_or_refuse(reader.read, name, MODEL)

    return [path.read_bytes() for path in paths], attempt


def model_cards(folder: Path) -> tuple[Seeds, Try]:
    """model.json, and the network that it describes."""
    card = fake_run.make_card(MODEL, fake_run.CLASSES, "proxy")
    card["design"]["edits"] = {"fc": ["Linear", "in_features=512, out_features=3, bias=True", {}]}
    spec = InputSpec(32, (0.5,) * 3, (0.5,) * 3)

    def attempt(content):
        (folder / "model.json").write_bytes(content)
        if found := read_or_refuse(read_card, folder):
            read_or_refuse(plan_network, found["design"], spec, found["provenance"])

    return [json.dumps(card).encode()], attempt


SETTINGS = [
    b"epochs=3", b"recipes.VGG16_emotion.lr=1e-3", b"augment.flip=0.5", b"classes=[happy, sad]", b"group='(P_\\d+)'",
    b"recipes.r18_pre_emotion.phases=[{epoch: 1, train_from: stem}]", b"recipes.r18_scratch_emotion.grow=[]",
]  # fmt: skip


def settings(folder: Path) -> tuple[Seeds, Try]:
    def attempt(content):
        for profile in PROFILES:
            read_or_refuse(resolve_config, profile, [content.decode("utf-8", "replace")])

    return SETTINGS, attempt


# -- weights and published tables ------------------------------------------------------------------


def keras_weights(folder: Path) -> tuple[Seeds, Try]:
    """A file with the names of VGGFace's convolutions; kernels of one value, so that most bytes are structure."""
    path, buffer = folder / "weights.h5", io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name in CONV_LAYERS:
            file[f"{name}/{name}/kernel:0"] = np.zeros((3, 3, 1, 1), np.float32)
            file[f"{name}/{name}/bias:0"] = np.zeros(1, np.float32)

    def attempt(content):
        path.write_bytes(content)
        read_or_refuse(load_weights, path)

    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("model.weights.h5", buffer.getvalue())
    return [buffer.getvalue(), zipped.getvalue()], attempt


def pytorch_weights(folder: Path) -> tuple[Seeds, Try]:
    """Checkpoints with the names of a ResNet18 and a number beside them, as PyTorch wrote and writes them."""
    path, seeds = folder / "weights.pth", []
    names = ("conv1.weight", "layer1.0.conv1.weight", "layer2.1.conv2.weight")
    checkpoint = {"state_dict": {f"module.{name}": torch.zeros(1) for name in names}, "best": np.float64(1)}
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer, _use_new_zipfile_serialization=zipped)
        seeds.append(buffer.getvalue())

    def attempt(content):
        path.write_bytes(content)
        read_or_refuse(load_weights, path)

    return seeds, attempt


# -- what is exported and predicted ----------------------------------------------------------------


def exported_metadata(folder: Path) -> tuple[Seeds, Try]:
    """The facts in an exported file, changed before it is sealed."""
    path, spec = folder / "model.onnx", IMAGENET.at(16)
    shape, many = [None, 16, 16, 3], onnx.TensorProto
    nodes = [
        onnx.helper.make_node("Cast", ["images"], ["values"], to=many.FLOAT),
        onnx.helper.make_node("ReduceMean", ["values", "axes"], ["means"], keepdims=0),
        onnx.helper.make_node("Softmax", ["means"], ["probabilities"], axis=1),
    ]
    graph = onnx.helper.make_graph(
        nodes, "means", [onnx.helper.make_tensor_value_info("images", many.UINT8, shape)],
        [onnx.helper.make_tensor_value_info("probabilities", many.FLOAT, [None, 3])],
        [onnx.helper.make_tensor("axes", many.INT64, [2], [1, 2])],
    )  # fmt: skip
    opset = [onnx.helper.make_opsetid("", 18)]
    bare = onnx.helper.make_model(graph, ir_version=9, opset_imports=opset).SerializeToString()
    card = {
        "class_names": ["angry", "happy", "sad"], "input": {**spec.as_dict(), "resize_kernel": KERNEL},
        "provenance": {"sentence": "random numbers", "licence": "MIT"}, "sha256": "0" * 64,
        "design": {"architecture": "means"},
    }  # fmt: skip
    answers = run_session(start_session(bare, 1), reference_pixels(16), 3)
    tally = Tally()
    tally.add([Faces("0.png", images=np.zeros((1, 16, 16, 3), np.uint8), sides_px=(900,))])
    facts = describe(card, 1, answers, "float32") | {"sealed": True, "test": {"images": 9, "accuracy": 0.5}}

    def attempt(content):
        path.write_bytes(seal(bare + _metadata(content)))
        if network := read_or_refuse(lambda: OnnxNetwork(path, 1)):
            assert all([*list_warnings(network.about), *list_origins(network.about), introduce(network)])
            assert all(tally.lines(network.input_spec))
            assert pickle.loads(pickle.dumps(network)).facts == network.facts

    return [json.dumps(facts).encode()], attempt


def _metadata(value: bytes) -> bytes:
    """An entry of an ONNX file's metadata; its value need be no text."""
    entry = onnx.StringStringEntryProto(key=KEY).SerializeToString() + VALUE + _length(value) + value
    return METADATA + _length(entry) + entry


def _length(part: bytes) -> bytes:
    """As protobuf writes it: seven bits a byte, the lowest first."""
    size, digits = len(part), bytearray()
    while size > 127:
        digits.append(size & 127 | 128)
        size >>= 7
    return bytes([*digits, size])


def part_tables(folder: Path) -> tuple[Seeds, Try]:
    """What `emotion predict --output` leaves to go on from, its own or a video's: the notes, or the table beside."""
    images = [folder / "0.png", folder / "1.png"]
    for image in images:
        image.write_bytes(b"")
    predictor = FilePredictor(None, images)
    predictor.network = SimpleNamespace(class_names=("happy", "sad"))
    rows = f"path,face,left,top,width,height,predicted,confidence,happy,sad,reason,search\n{images[0]}" + "," * 10
    out, state = folder / "out.csv", {"tally": {"counts": [1, 2.5, None], "names": ["a"]}}
    part, notes = (out.with_name(f"out.csv.part{end}") for end in ("", ".json"))
    table, seeds = PartTable(out), []
    table.resume("key")
    for text, given in ((f"{rows}empty,\n", None), ("", state)):
        table.append(text, 1, given)
        seeds.append(notes.read_bytes())
    table.abandon()
    rows, key = part.read_bytes(), json.loads(seeds[0])

    def attempt(content):
        own = json.dumps(key | {"bytes": len(content)}).encode()
        for written, noted in ((rows, content), (content, own)):
            part.write_bytes(written)
            notes.write_bytes(noted)
            table = PartTable(out)
            table.resume("key")
            assert table.state in (None, state)
            found = table.read()
            if predictor.made(found, table.done):
                assert table.done <= len(images)
                Tally().add_rows(found, table.done)
            table.abandon()

    return [*seeds, rows], attempt


def published_tables(folder: Path) -> tuple[Seeds, Try]:
    path = folder / "published.json"

    def attempt(content):
        path.write_bytes(content)
        if results := read_or_refuse(read_printed_results, path):
            read_or_refuse(audit_results, results)

    return [json.dumps(read_published()).encode()], attempt


TARGETS = (
    fer2013_csv, relabelling_csv, class_lists, jsonl_tables, any_table, lists_of_raf_db, lists_of_expw,
    votes_of_ferplus, annotations_of_affectnet, emotions_of_ck_plus, image_files, zip_members, tar_members,
    compressed_tars,
    manifest, history, predictions, json_files, model_cards, settings, keras_weights, pytorch_weights,
    published_tables, tables_of_votes, split_lists, exported_metadata, part_tables,
)  # fmt: skip
