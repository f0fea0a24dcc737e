"""A finished run that nobody trained: every artefact that the report reads, written through `Run`, from one seed."""

import ast
import hashlib
import io
from contextlib import redirect_stdout
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd

from emotion_utils.ablation import all_trainings
from emotion_utils.audit.audit import count_images
from emotion_utils.audit.leaks import find_leaks
from emotion_utils.audit.splits import measure_balance
from emotion_utils.config import resolve_config
from emotion_utils.files import write_json
from emotion_utils.provenance import PROJECT_DIR
from emotion_utils.report.trainings import CHANGED
from emotion_utils.run import Run

STUDY_MODELS = {"VGG16_emotion": 0.86, "r18_scratch_emotion": 0.72, "r18_pre_emotion": 0.95}  # chance of being right
CLASSES = ("angry", "happy", "sad")
HOSTILE = ("<script>alert(1)</script>", "a|b & c", "$m$", "new\nline", "نص عربي")
NOTEBOOK = PROJECT_DIR / "notebooks" / "06_comparison.ipynb"


def make_run(
    root, *, classes=CLASSES, skills=STUDY_MODELS, images=600, epochs=8, seed=0, weights="proxy", broken=2, seeds=1,
    ablate=(),
):  # fmt: skip
    """A run at `root` with `images` images and a model for each of `skills`."""
    rng = np.random.default_rng(seed)
    config = resolve_config("demo", epochs=epochs, seed=seed)
    recipe = config.recipes["r18_scratch_emotion"]
    recipes = {model: config.recipes.get(model, recipe) for model in skills}
    run = Run(root, config.model_copy(update={"models": tuple(skills), "recipes": recipes, "seeds": seeds}))
    run.config = run.config.model_copy(update={"ablate": ablate})
    run.write("facts", {"config": run.config.model_dump(mode="json"), "environment": ENVIRONMENT, "stages": STAGES})
    manifest = make_manifest(classes, images, broken)
    run.write("manifest", manifest)
    run.write("audit", make_audit(manifest, classes))
    for model, skill in skills.items():
        for each in all_trainings(run, model):
            lost = 0.3 if "pretraining" in each.model_folder else 0
            each.write("predictions", make_predictions(rng, manifest, classes, skill - lost), model)
            each.write("history", make_history(rng, each, model, epochs), model)
            card = make_card(model, classes, weights) | (make_training(each, model) if ablate else {})
            write_json(each.model_dir(model) / "model.json", card)
            run.note_test_opening(f"{each.title(model)}, seed {each.config.seed}")
        run.write("robustness", make_robustness(rng, classes, skill), model)
        run.append(
            "events", model, kind="started", device="cpu", processes=1, threads=2, precision="bfloat16", compiled=False,
            batch_size=config.batch_size, epochs=epochs,
        )  # fmt: skip
        run.append("events", model, kind="phase", epoch=1, phase="conv4-head", trainable_parameters=13_000_000)
        if epochs >= 4:
            run.append("events", model, kind="phase", epoch=4, phase="conv1-head", trainable_parameters=14_700_000)
    write_looks(rng, run, skills)
    backoff = {"micro_batch_before": 32, "micro_batch": 16, "batchnorm_by_portion": True}
    run.append("events", model, kind="memory_backoff", reason="out of memory", **backoff)
    run.append("events", model, kind="spike_skipped", epoch=1, step=9, reason="the gradient norm is 1e4", ids=["x"])
    return run


def make_manifest(classes, images, broken):
    rows = []
    for number in range(images):
        label = classes[number % len(classes)]
        path = f"{label}/person_{number // 6:03d}_{number:04d}.png"
        split = ("train", "val", "test")[_side(number, images)]
        rows.append([_sha256(path), path, label, f"person_{number // 6:03d}", split, "kept", "", 96, 96])
    columns = ["id", "path", "label", "group", "split", "status", "reason", "width", "height"]
    manifest = pd.DataFrame(rows, columns=columns)
    faults = ["unreadable: the file ends too early", f"exact duplicate of {rows[0][0]}"]
    for number in range(broken):
        row = [_sha256(f"broken {number}"), f"{classes[0]}/broken_{number:04d}.png", classes[0], "", "", "quarantined"]
        manifest.loc[len(manifest)] = [*row, faults[number % 2], 0, 0]
    return manifest


def make_audit(manifest, classes):
    """What 01 would have found in the manifest."""
    count, broken = (manifest["status"] == "kept").sum(), int((manifest["status"] != "kept").sum())
    return {
        **count_images(manifest, classes),
        "conversions": {"grey": 7},
        "faces": {
            "crop": "auto", "missed_are": "kept", "detector": None, "cropped": 0, "filled": 0, "missed": 0,
            "not_searched": int(count), "several": 0,
        },
        "duplicates": {"exact": broken // 2, "pixels": 0},
        "conflicts": {"pictures": 0, "images": 0, "examples": []},
        "near_duplicates": {"clusters": 2, "images": 4, "largest": 2, "mixed_labels": 0},
        "sizes": {"median": [96, 96], "smallest": [96, 96], "largest": [96, 96]},
        "notes": ["6 rendered people a class"],
        "fingerprint": _sha256("pictures"),
        "groups": {"rule": "auto", "persons": manifest["group"].nunique() - 1, "line": "the data name the people"},
        "leaks": {
            "choice": "set_aside", "line": "", "as_given": None, "at_random": None,
            "as_used": find_leaks(manifest).to_dict("records"),
        },
        "splits": {"brought": [], "seed": 0, **measure_balance(manifest)},
        "suspects": {"judged": int(count), "doubted": 9, "accuracy": 0.8, "listed": []},
    }  # fmt: skip


def _side(number, images):
    person, persons = number // 6, -(-images // 6)
    return 0 if person < persons * 0.8 else 1 if person < persons * 0.9 else 2


def make_predictions(rng, manifest, classes, skill):
    """Right with chance `skill`."""
    held_out = manifest[(manifest["status"] == "kept") & (manifest["split"] != "train")]
    rows = []
    for row in held_out.itertuples():
        others = [name for name in classes if name != row.label]
        predicted = row.label if rng.random() < skill else others[int(len(others) * rng.random() ** 2)]
        probs = rng.dirichlet(np.ones(len(classes)))
        place, top = classes.index(predicted), probs.argmax()
        probs[[place, top]] = probs[[top, place]]
        rows.append([row.id, row.split, row.label, predicted, *probs])
    return pd.DataFrame(rows, columns=["id", "split", "label", "predicted", *classes])


def make_history(rng, run, model, epochs):
    """A curve that ends near the validation accuracy of the stored predictions, which is its maximum."""
    val = run.read("predictions", model).query("split == 'val'")
    best = (val["label"] == val["predicted"]).mean()
    epoch = np.arange(1, epochs + 1)
    rise = 1 - np.exp(-epoch * (0.4 + 0.5 * best))
    val_acc = np.round((0.35 + (best - 0.35) * rise - 0.01 * rng.random(epochs)) * len(val)) / len(val)
    val_acc[min(5, epochs - 1)] = best
    return pd.DataFrame({
        "epoch": epoch, "phase": "conv1-head", "lr": 1e-3,
        "train_loss": 1.1 * np.exp(-0.6 * epoch * best) + 0.01, "train_acc": np.clip(0.4 + 0.6 * rise, 0, 1),
        "val_loss": 1.1 * (1 - val_acc) + 0.02 * np.maximum(0, epoch - 4), "val_acc": np.minimum(val_acc, best),
        "seconds": 9.0 + rng.random(epochs), "images_per_second": 100 + 10 * rng.random(epochs),
    })  # fmt: skip


def write_looks(rng, run, skills, regions=("brows", "eyes", "mouth", "forehead")):
    """What notebook 05 measures: models that look at the mouth, and lose `sad` when it is covered."""
    boxes = [(name, 0.2, 0.25 * place, 0.8, 0.25 * place + 0.2) for place, name in enumerate(regions)]
    run.write("regions", pd.DataFrame(boxes, columns=["region", "left", "top", "right", "bottom"]))
    saliency, covered, randomised = [], [], []
    classes = run.class_names()
    for model in skills:
        test = run.read("predictions", model).query("split == 'test'")[["id", "label", "predicted"]].assign(model=model)
        shares = rng.dirichlet([1, 2, 5, 1, 4], len(test)).round(6)
        saliency.append(test.assign(**dict(zip([*regions, "elsewhere"], shares.T, strict=True))))
        for region in regions:
            answers = test.assign(region=region)
            if region == "mouth":
                answers.loc[answers["label"] == classes[-1], "predicted"] = classes[0]
            covered.append(answers)
        for step in (1, 2, 3):
            values = np.clip(rng.normal(0.9 - 0.28 * step, 0.2, len(test)), -1, 1).round(6)
            steps = {"model": model, "step": step, "group": f"layer{step}", "id": test["id"], "correlation": values}
            randomised.append(pd.DataFrame(steps))
    for name, tables in {"saliency": saliency, "covered": covered, "randomised": randomised}.items():
        run.write(name, pd.concat(tables))


def make_robustness(rng, classes, skill):
    """20 images a class, and fewer right the worse they are."""
    ways = [("as they are", 0.0), ("blur", 0.01), ("blur", 0.04), ("dark", 0.5), ("dark", 0.1), ("mouth covered", 1.0)]
    rows = [
        (kind, amount, name, 20, int(rng.binomial(20, skill * (1 - step / 10))))
        for step, (kind, amount) in enumerate(ways) for name in classes
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["kind", "amount", "label", "count", "correct"])


def make_card(model, classes, weights):
    vgg = model.startswith("VGG")
    kind = "random" if "scratch" in model else weights
    sentence = {
        "random": "ResNet18, random weights from seed 0",
        "proxy": "VGG16, proxy: trained by this project to tell synthetic persons apart, sha256 0123456789ab",
        "official": "ResNet18, ImageNet-1k weights IMAGENET1K_V1, sha256 f37072fd0000",
    }[kind]
    return {
        "design": {"architecture": "vgg16" if vgg else "resnet18", "num_classes": len(classes), "dropout": 0.0},
        "class_names": list(classes),
        "input": {"size_px": 48, "mean": [0.5] * 3, "std": [0.2] * 3, "channel_order": "RGB", "range": [0, 1]},
        "sha256": _sha256(f"weights of {model}"),
        "answers": [[0.5] * len(classes)] * 2,
        "provenance": {
            "name": kind, "kind": kind, "source": f"{kind}.safetensors",
            "sha256": None if kind == "random" else "0123456789abcdef",
            "licence": None, "sentence": sentence,
        },
    }  # fmt: skip


def make_training(run, model):
    """What a card says of a training, which an ablation differs from by one setting."""
    parts = [part for part, key in CHANGED.items() if part in run.model_folder]
    edits = [f"{CHANGED[part].format(model=model)}: other in place of before" for part in parts]
    facts = {"network": "n", "recipe": "r", "data": "d", "folder": "edited-01234567", "edits": edits}
    return {"training": facts | {"recipe_used": run.recipe(model).model_dump(mode="json")}}


def execute(notebook, run, target):
    """Runs the notebook's cells in this process on `run`, as a kernel would, and writes it with what they show."""
    document = nbformat.read(notebook, as_version=4)
    space = {}
    for cell in document.cells:
        if cell.cell_type != "code":
            continue
        statements = ast.parse(cell.source).body
        last = statements.pop() if isinstance(statements[-1], ast.Expr) else None
        with redirect_stdout(io.StringIO()) as said:
            exec(compile(ast.Module(statements, []), "cell", "exec"), space)
        if said.getvalue():
            cell.outputs = [nbformat.v4.new_output("stream", text=said.getvalue())]
        if "Run" in space:
            space["Run"] = SimpleNamespace(open=lambda _: run)
        shown = eval(compile(ast.Expression(last.value), "cell", "eval"), space) if last else None
        if shown is not None:
            with pd.option_context("display.max_columns", 20):  # where there is no terminal
                data = {"text/html": shown._repr_html_(), "text/plain": repr(shown)}
            cell.outputs += [nbformat.v4.new_output("execute_result", data=data, execution_count=1)]
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(document, target)
    return target


def _sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


ENVIRONMENT = {
    "python": "3.11.9", "platform": "Linux x86_64", "cpu_cores": 2, "memory_gb": 8.0, "git_revision": "0123456789ab",
    "threads": "auto",
    "versions": {"torch": "2.10.0", "numpy": "2.3.0"},
}  # fmt: skip
STAGES = {"01_data_preparation": {"seconds": 12.3}, "02_vggface_finetuned": {"seconds": 101.5}}
