"""A trained model on disk: its weights, and in model.json all that is needed to use and to check them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import (
    MOST_JSON_BYTES,
    FullDisk,
    file_sha256,
    parse_json,
    read_bytes,
    refuse_large,
    replacing,
    write_json,
)
from emotion_utils.model_table import CONSENT, has_architecture, import_if_trusted, import_trusted, module_of
from emotion_utils.models.folders import CARD_FILE, why_no_model
from emotion_utils.models.input_spec import InputSpec
from emotion_utils.models.network import EmotionNet, assemble_network, plan_network
from emotion_utils.models.reference import reference_images
from emotion_utils.models.weights.file_kind import file_kind
from emotion_utils.models.weights.load import read_safetensors
from emotion_utils.schemas import ModelCard, check_schema
from emotion_utils.sources.usable_names import check_names
from emotion_utils.store.resize import KERNEL

WEIGHTS_FILE = "model.safetensors"
AGAIN = "train the model again"
# Of the largest logit. Other processors and releases round differently (about 1e-5); other weights, another order of
# channels or another mean give quite different logits.
LOGIT_TOLERANCE = 1e-3
PREDICTIONS_FILE = "predictions.csv"  # of the run that trained the model
MOST_OUTPUTS = 2**28  # of a layer for one image: a GB; VGG16 makes 3 million of 224 px


def save_model(net: EmotionNet, model_dir: str | Path, class_names: Sequence[str], **facts: Any) -> dict[str, Any]:
    """Writes model.safetensors and model.json; returns the latter. `facts` (plain values) are added to it as they are.

    `class_names` are all that the network learns; those behind its `num_classes` first ones become auxiliary_classes.
    Its `answers` are the reference logits of the network as it is read back from the file. Raises InputError where the
    number of class names is wrong, EmotionError where the network's logits are not finite.
    """
    model_dir = Path(model_dir)
    asked, outputs = net.design["num_classes"], net.design["num_classes"] + net.design.get("auxiliary", 0)
    if len(class_names) != outputs:
        raise InputError(f"{len(class_names)} class names for a network of {outputs} outputs")
    weights_path = model_dir / WEIGHTS_FILE
    state = {key: value.detach().cpu().contiguous() for key, value in net.network.state_dict().items()}
    with replacing(weights_path) as temporary:
        try:
            save_file(state, temporary)
        except SafetensorError as error:  # the tensors are sound: only the disk can say no
            raise FullDisk(weights_path, str(error)) from None
    answers = reference_logits(_rebuild(weights_path, net.design, net.input_spec, net.provenance))
    if not torch.tensor(answers).isfinite().all():
        raise EmotionError(f"{weights_path}: its logits are not finite: the training failed")
    card = {
        "design": net.design,
        "architecture": {
            "title": net.architecture.title,
            "depth_groups": list(net.depth_groups),
            "module": module_of(net.architecture.name),
        },
        "class_names": list(class_names[:asked]),
        **({"auxiliary_classes": list(class_names[asked:])} if outputs > asked else {}),
        "input": {**net.input_spec.as_dict(), "resize_kernel": KERNEL},
        "provenance": net.provenance,
        "sha256": file_sha256(weights_path),
        "answers": answers,
        **facts,
    }
    write_json(model_dir / CARD_FILE, card)
    return card


def load_model(model_dir: str | Path, device: torch.device | None = None) -> tuple[EmotionNet, dict[str, Any]]:
    """The network on `device` (None: the CPU), in evaluation mode, and its model.json. It is checked on the CPU.

    Raises InputError where a file is missing or damaged, where the two do not belong together, and where the network
    does not give the reference logits that it gave when it was saved.
    """
    model_dir = Path(model_dir)
    weights_path, card = model_dir / WEIGHTS_FILE, read_card(model_dir)
    if file_kind(weights_path) != "safetensors":
        raise InputError(f"{weights_path}: expected a safetensors file; train the model again")
    refuse_large(weights_path)
    _check_order(model_dir / PREDICTIONS_FILE, card["class_names"])
    found = file_sha256(weights_path)
    if found != card["sha256"]:
        raise InputError(
            f"{weights_path}: wrong checksum: {CARD_FILE} expects SHA-256 {card['sha256']}, found {found}; "
            "the two do not belong together or the file is damaged: train the model again"
        )
    _require_architecture(model_dir, card)
    net = _rebuild(weights_path, card["design"], _read_input_spec(model_dir, card), card["provenance"])
    check_logits(model_dir, card["answers"], reference_logits(net))
    net.views = card["views"]["used"] if "views" in card else 1
    return net.to(device or "cpu"), card


def _check_order(predictions: Path, class_names: Sequence[str]) -> None:
    """Raises InputError where the model's own predictions, if they lie beside it, name its classes in another order."""
    if not predictions.is_file():
        return
    try:
        with predictions.open(encoding="utf-8", newline="") as file:
            columns = next(csv.reader(file), [])[-len(class_names) :]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{predictions}: is no table ({error}); train the model again") from None
    if sorted(columns) == sorted(class_names) and columns != list(class_names):
        raise InputError(
            f"{predictions.with_name(CARD_FILE)}: class_names are {', '.join(class_names)}, and the columns of "
            f"{predictions.name} {', '.join(columns)}: one of the files was changed; train the model again"
        )


def read_card(model_dir: Path) -> dict[str, Any]:
    """model.json, complete and consistent with itself. Raises InputError that names what is missing or wrong."""
    path = model_dir / CARD_FILE
    if not path.exists():
        raise InputError(why_no_model(model_dir))
    content = read_bytes(path, MOST_JSON_BYTES)
    try:
        card = parse_json(content)
    except ValueError as error:
        raise InputError(f"{path}: not readable ({error}); {AGAIN}") from None
    check_schema(path, card, ModelCard, AGAIN)
    check_names(str(path), card["class_names"])
    return card


def check_logits(model_dir: Path, expected: list[list[float]], found: list[list[float]]) -> None:
    """Raises InputError where logits (2, k) differ by more than LOGIT_TOLERANCE of the largest one."""
    before, now = torch.tensor(expected, dtype=torch.float64), torch.tensor(found, dtype=torch.float64)
    if before.shape != now.shape:
        raise InputError(
            f"{model_dir}: {CARD_FILE} holds logits of shape {tuple(before.shape)}, not {tuple(now.shape)}"
        )
    difference, largest = float((now - before).abs().max()), float(before.abs().max())
    if not difference <= LOGIT_TOLERANCE * largest:
        raise InputError(
            f"{model_dir}: the logits for the reference images are not those of when the model was saved: they differ "
            f"by {difference:.2g}, and at most {LOGIT_TOLERANCE * largest:.2g} is rounding; train the model again"
        )


@torch.inference_mode()
def reference_logits(net: EmotionNet) -> list[list[float]]:
    """Logits (2, k) of a network on the CPU for the two reference images, in evaluation mode."""
    return net.eval()(reference_images(net.input_spec.size_px)).tolist()


def _require_architecture(model_dir: Path, card: dict[str, Any]) -> None:
    """Raises InputError for a network that neither the package nor a file named by the person registers.

    The file that model.json names is not run: whoever made the folder chose it.
    """
    name, module = card["design"]["architecture"], card.get("architecture", {}).get("module")
    import_if_trusted([module] if module else [])
    if not has_architecture(name):
        import_trusted()
    if not has_architecture(name) and module:
        raise InputError(
            f"{model_dir}: the network is built by code, {module}; {CONSENT.format(module)}, or its new place if it "
            "has moved"
        )


def _read_input_spec(model_dir: Path, card: dict[str, Any]) -> InputSpec:
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in card["input"].items()}
    kernel = given.pop("resize_kernel", None)
    input_spec = InputSpec(**given)
    expected = replace(input_spec, channel_order="RGB", range=(0.0, 1.0))
    if input_spec != expected or kernel != KERNEL:
        raise InputError(
            f"{model_dir / CARD_FILE}: the model takes {input_spec.channel_order} in {input_spec.range} resized by "
            f"{kernel!r}; this version gives {expected.channel_order} in {expected.range} resized by {KERNEL!r}"
        )
    return input_spec


def _rebuild(
    weights_path: Path, design: dict[str, Any], input_spec: InputSpec, provenance: dict[str, Any]
) -> EmotionNet:
    """The network with the weights of the file. Raises InputError where they are not just those of such a network."""
    _, state = read_safetensors(weights_path)
    try:
        if design.get("edits"):
            _refuse_large_outputs(plan_network(design, input_spec, provenance))
        return assemble_network(design, input_spec, provenance, state).eval()
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{weights_path}: the weights do not fit their network ({reason}); train it again") from None


def _refuse_large_outputs(net: EmotionNet) -> None:
    """Raises InputError where an image of the right size becomes something huge in a network that is on no device."""

    def check(layer: torch.nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.numel() > MOST_OUTPUTS:
            raise InputError(f"{type(layer).__name__} makes {output.numel():,} numbers of an image")

    hooks = [layer.register_forward_hook(check) for layer in net.modules()]
    net(torch.empty(1, 3, net.input_spec.size_px, net.input_spec.size_px, device="meta"))
    for hook in hooks:
        hook.remove()
