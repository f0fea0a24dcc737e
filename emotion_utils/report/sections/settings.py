"""The tables of the report's appendix: data, weights, settings, machine, times. No torch."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from emotion_utils.config import Recipe, RunConfig, resolve_config
from emotion_utils.report.data_tables import split_table
from emotion_utils.report.exhibits import Shown, html_table, safe, safe_model, show_table
from emotion_utils.report.results import Results
from emotion_utils.search.selection_bias import METHOD

QUARANTINED_SHOWN = 20


def data_tables(results: Results) -> Shown:
    """Images per class and split, and the images that were set aside with the reason of each."""
    counts = split_table(results.manifest, results.class_names)
    rows = [[safe(name), *(f"{int(count):,}" for count in row)] for name, row in counts.iterrows()]
    classes = len(results.class_names)
    table = html_table(("Class", *counts.columns), [rows[:classes], rows[classes:]])
    shown = show_table(results, "tbl-splits", table, "Images per class and split.")
    return shown + _quarantine_table(results) if len(results.quarantined) else shown


def _quarantine_table(results: Results) -> Shown:
    listed = results.quarantined.sort_values("path").head(QUARANTINED_SHOWN)
    rows = [[safe(row.path), safe(row.label), safe(row.reason)] for row in listed.itertuples()]
    table = html_table(("Image", "Class", "Reason"), [rows], words=(0, 1, 2), css="long")
    left = len(results.quarantined) - len(listed)
    note = f"And {left:,} more, all of them in data/manifest.csv." if left else ""
    return show_table(results, "tbl-quarantine", table, "Images that were set aside, and why.", note, may_break=True)


def weights_table(results: Results) -> Shown:
    """Where the weights came from that each model started from, and what such a network wants to be fed."""
    cards = [results.cards[model] for model in results.models]
    origins, fed = [card["provenance"] for card in cards], [card["input"] for card in cards]
    where = [Path(o["source"]).name if o["kind"] == "file" else o["source"] for o in origins]
    origin_rows = [
        ["Starts from", *(safe(o["sentence"]) for o in origins)],
        ["Kind", *(safe(o["kind"]) for o in origins)],
        ["Trained on", *(safe(o.get("trained_on") or "nothing") for o in origins)],
        ["Source", *map(safe, where)],
        [
            "SHA-256",
            *(f'<code class="hash">{safe(o["sha256"])}</code>' if o.get("sha256") else "none" for o in origins),
        ],
        ["Licence", *(safe(o.get("licence") or "none needed") for o in origins)],
    ]
    input_rows = [
        ["Size", *(f"{i['size_px']} px" for i in fed)],
        ["Channels, range", *(f"{safe(i['channel_order'])}, {_numbers(i['range'])}" for i in fed)],
        ["Mean", *(_numbers(i["mean"]) for i in fed)],
        ["Standard deviation", *(_numbers(i["std"]) for i in fed)],
        ["Resizing", *(safe(i.get("resize_kernel") or "not told") for i in fed)],
    ]
    head = ("What", *(safe_model(results, model) for model in results.models))
    table = html_table(head, [origin_rows, input_rows], words=range(len(head)), css="long")
    caption = "The weights that training started from, and the images that the networks take."
    return show_table(results, "tbl-weights", table, caption, may_break=True)


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def settings_table(results: Results) -> Shown:
    """The recipe of each model, a column each."""
    recipes = {model: _carried_out(results, model) for model in results.models}
    keys = [key for key in next(iter(recipes.values())) if key not in ("weights", "batch_size")]
    rows = [[f"<code>{key}</code>", *(safe(_setting(recipes[model][key])) for model in recipes)] for key in keys]
    common, shared = results.config.model_dump(mode="json"), ("epochs", "max_steps_per_epoch", "seed")
    rest = [["<code>image_size_px</code>", *[str(results.config.image_size_px)] * len(recipes)]]
    rest += [["<code>batch_size</code>", *(safe(_setting(recipes[model]["batch_size"])) for model in recipes)]]
    rest += [[f"<code>{key}</code>", *[safe(_setting(common[key]))] * len(recipes)] for key in shared]
    head = ("Setting", *(safe_model(results, model) for model in recipes))
    table = html_table(head, [rows, rest], words=range(len(head)), css="long")
    return show_table(results, "tbl-settings", table, "How each model was trained.", may_break=True)


def _carried_out(results: Results, model: str) -> dict[str, Any]:
    """The recipe of `model`, with what became of its settings that are left to the machine."""
    recipe = results.config.recipes[model].model_dump(mode="json") | {"batch_size": results.config.batch_size}
    starts = [event for event in results.events[model] if event["kind"] == "started"]
    if starts:
        start = starts[-1]
        factor = start.get("batch_rate_factor", 1.0)
        became = {
            "precision": start["precision"],
            "compile": "always" if start["compiled"] else "never",
            "batch_size": f"{start['batch_size']}, rates times {factor:.3g}" if factor != 1 else start["batch_size"],
        }
        recipe |= {key: f"auto: {value}" for key, value in became.items() if recipe[key] == "auto"}
    return recipe


def search_table(results: Results) -> Shown:
    """What a search for settings cost and found, and how optimistic its best is. Empty where there was none."""
    if not results.searches:
        return Shown("")
    rows = []
    for model, (trials, summary) in results.searches.items():
        best = trials.set_index("trial").loc[summary["best"]]
        settings = [f"{best[name]:g}" for name in ("lr", "weight_decay", "augment_strength")]
        accuracies = [f"{summary[name]:.3f}" for name in ("val_acc", "corrected_val_acc")]
        counts = [
            f"{summary['trials']:,}",
            f"{summary['trials'] - summary['complete']:,}",
            f"{summary['seconds']:,.0f}",
        ]
        rows.append([safe_model(results, model), *counts, *settings, *accuracies])
    head = ("Model", "Trials", "given up", "Seconds", "lr", "weight decay", "augment strength", "Best val", "corrected")
    note = (
        "The best of many trials looks better than it is, as it is chosen and judged on the same images. Corrected: "
        f"{safe(METHOD)}. The choice of the epoch within a trial is not part of it."
    )
    caption = "The search for settings, by validation accuracy alone; whether they are used, the table above says."
    return show_table(results, "tbl-search", html_table(head, [rows]), caption, note)


def machine_tables(results: Results) -> Shown:
    """Versions and hardware, and the time that each stage took."""
    environment = dict(results.facts.get("environment", {}))
    versions = environment.pop("versions", {})
    rows = [[safe(key.replace("_", " ")), safe(value)] for key, value in environment.items()]
    packages = [[safe(name), safe(version)] for name, version in versions.items()]
    table = html_table(("What", "Value"), [rows, packages], words=(0, 1))
    shown = show_table(results, "tbl-environment", table, "Where this run was made.")
    stages = results.facts.get("stages", {})
    times = [[safe(name), f"{stage['seconds']:,.1f}"] for name, stage in sorted(stages.items()) if name[:2] != "06"]
    deaths = [stage["kernel_restarted"] for _, stage in sorted(stages.items()) if "kernel_restarted" in stage]
    note = f"Started once more: {safe('; '.join(deaths))}." if deaths else ""
    note = note if times else "The notebooks were run by hand, so no times were taken."
    return shown + show_table(
        results, "tbl-times", html_table(("Notebook", "Seconds"), [times]), "Time per notebook.", note
    )


def data_name(config: RunConfig) -> str:
    """The data as a reader may know them: a link as it is, of a path only the last part."""
    is_link = "://" in config.data or config.data.startswith("kaggle:")
    return config.data if is_link else Path(config.data).name


def show_command(results: Results) -> Shown:
    """The command that makes this run again."""
    return Shown(f'<pre class="command"><code>{safe(repeat_command(results.config))}</code></pre>')


def repeat_command(config: RunConfig) -> str:
    """`./run_all.sh` with what differs from the profile."""
    default = resolve_config(config.profile, data=config.data).model_dump(mode="json")
    ours = config.model_dump(mode="json")
    unset = Recipe.model_construct().model_dump(mode="json")
    default["recipes"] = dict.fromkeys(ours["recipes"], unset) | default["recipes"]
    words = ["./run_all.sh", "--profile", config.profile]
    words += ["--data", data_name(config)] if config.data != "synthetic" else []
    words += ["--classes", ",".join(config.classes)] if config.classes else []
    for key, value in _differences(default, ours):
        told = Path(value).name if key.endswith(".weights") and value else value  # of a path only the last part
        told = [Path(path).name for path in value] if key == "modules" else told
        words += ["--set", f"{key}={json.dumps(told)}"]
    return shlex.join(words)


def _differences(default: dict[str, Any], ours: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for key, value in ours.items():
        if isinstance(value, dict) and isinstance(default.get(key), dict):
            found += _differences(default[key], value, f"{prefix}{key}.")
        elif default.get(key) != value and prefix + key not in ("classes", "data", "profile"):
            found.append((prefix + key, value))
    return found


def _setting(value: Any) -> str:
    if isinstance(value, list):  # of phases, or of sizes to grow to
        stages = ((step["epoch"], step.get("train_from") or f"{step['size_px']} px") for step in value)
        return ", ".join(f"from epoch {epoch}: {what}" for epoch, what in stages) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
