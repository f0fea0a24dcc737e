"""The checks of gpu_check.sh: each is a process of its own, and a row of the table at the end.

    python scripts/gpu_check.py [--data SPEC] [--output DIR] [--only NAME ...]

Without --data the run is the smoke profile on synthetic faces; with it, the demo profile at 224 px. EMOTION_DEVICE=cpu
goes through the same checks on a CPU, with smaller figures. `thorough` trains on data with a split, such as FER2013,
for a minute or two, and only where --only names it. Exit status 1 where a line failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

LIMIT_S = 240  # of one check; a whole run of this script is meant to take six minutes
KILL_AT = 6  # the step of the small training before which it is killed, of 8
EMOTION = [sys.executable, "-P", "-m", "emotion_utils"]


class Outcome(NamedTuple):
    """A row of the table. `figures` says what was measured, or why the check failed."""

    name: str
    verdict: str  # ok, FAILED or skipped
    seconds: float
    figures: str


class Failure(Exception):
    """A check that fails; the message is one line."""


class Skip(Exception):
    """A check that this machine cannot make; the message says why."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "gpu_check.sh [--wheels DIR]", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="faces for a run at 224 px and for the bench; synthetic ones if left out")
    parser.add_argument("--output", type=Path, help="keeps the run and the logs there")
    parser.add_argument("--only", nargs="*", choices=list(CHECKS), help="these checks alone")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)  # one process of the resumed training
    parser.add_argument("--kill-at", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.train:
        train_small(given.train, given.kill_at)
        return 0
    folder = given.output or Path(tempfile.mkdtemp(prefix="emotion-gpu-check-"))
    folder.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    for name in given.only or USUAL:
        outcomes.append(carry_out(name, folder, given.data))
        if name == "device" and outcomes[-1].verdict == "FAILED":
            break  # the others would be those of a CPU
    print(format_table(outcomes))
    print(f"logs and reports: {folder}")
    failed = [outcome.name for outcome in outcomes if outcome.verdict == "FAILED"]
    passed = sum(outcome.verdict == "ok" for outcome in outcomes)
    skipped = sum(outcome.verdict == "skipped" for outcome in outcomes)
    print(f"failed: {', '.join(failed)}" if failed else f"nothing failed: {passed} passed, {skipped} skipped")
    return int(bool(failed))


def carry_out(name: str, folder: Path, data: str | None) -> Outcome:
    """One check; what goes wrong in it becomes its row."""
    print(f"{name} ...", flush=True)
    start = time.monotonic()
    try:
        verdict, figures = "ok", CHECKS[name](folder, data)
    except Skip as reason:
        verdict, figures = "skipped", str(reason)
    except Failure as fault:
        verdict, figures = "FAILED", str(fault)
    return Outcome(name, verdict, time.monotonic() - start, figures)


def format_table(outcomes: list[Outcome]) -> str:
    width = max(len(outcome.name) for outcome in outcomes)
    lines = [f"{'check':{width}}  outcome  seconds  figures"]
    lines += [f"{o.name:{width}}  {o.verdict:7}  {o.seconds:7.1f}  {o.figures}" for o in outcomes]
    return "\n".join(lines)


def call(log: Path, command: list[str | Path], *, environment: dict[str, str] | None = None) -> str:
    """What a command prints, which is also kept in `log`. Raises Failure with its last line where it fails."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
    with log.open("w", encoding="utf-8") as file:
        try:
            status = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=environment, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            raise Failure(f"took longer than {LIMIT_S} s; see {log}") from None
    printed = log.read_text(encoding="utf-8", errors="replace")
    if status.returncode:
        last = ([line.strip() for line in printed.splitlines() if line.strip()] or ["it printed nothing"])[-1]
        last = last.removeprefix("emotion_utils.errors.InputError: ")
        raise Failure(f"status {status.returncode}: {last[:400]}; see {log}")
    return printed


# -- the checks ------------------------------------------------------------------------------------


def check_device(folder: Path, data: str | None) -> str:
    """The GPU is there, and computes what the CPU computes."""
    code = (
        "import torch; from emotion_utils.devices import count_gpus, pick_device; device = pick_device()\n"
        "name = torch.cuda.get_device_name(device) if device.type == 'cuda' else device.type\n"
        "print(f'{name}, GPUs: {count_gpus()}, torch {torch.__version__}')"
    )
    line = call(folder / "device.log", [sys.executable, "-P", "-c", code]).strip().splitlines()[-1]
    if line.startswith("cpu") and os.environ.get("EMOTION_DEVICE") != "cpu":
        raise Failure(f"{line}: no GPU is used here; EMOTION_DEVICE=cpu checks the CPU; see {folder / 'device.log'}")
    return line


def check_bench(folder: Path, data: str | None) -> str:
    """Speed beside the plain loop, and beside a step that is written for a GPU by hand."""
    table = folder / "bench.csv"
    small = os.environ.get("EMOTION_DEVICE") == "cpu"
    steps = {"sizes_px": (48,) if small else (48, 224), "workers": 0 if small else 4, "rounds": 1 if small else 2}
    code = (
        "import sys; from emotion_utils.bench.subjects import measure_train\n"
        f"next(measure_train(sys.argv[1], {steps!r})).table.to_csv(sys.argv[2])"
    )
    call(folder / "bench.log", [sys.executable, "-P", "-c", code, data or "synthetic", table])
    import pandas as pd

    parts = []
    for size_px, ways in pd.read_csv(table).groupby("size_px"):
        engine = ways.set_index("way").loc["engine"]
        share = "" if pd.isna(engine["of_bare"]) else f", {engine['of_bare']:.2f} of bare"
        parts.append(
            f"{size_px:.0f} px: {engine['images_per_second']:,.0f} images/s ({engine['numbers']}), "
            f"{engine['ratio']:.1f}x plain{share}, overhead {engine['overhead']:.2f}"
        )
    return "; ".join(parts)


def check_run(folder: Path, data: str | None) -> str:
    """From faces to a report whose figures agree with its predictions."""
    run = folder / "run"
    how = ["--profile", "demo", "--data", data, "--set", "image_size_px=224"] if data else ["--profile", "smoke"]
    start = time.monotonic()
    call(folder / "run.log", [*EMOTION, "run", *how, "--output", run, "--fresh"])
    took = time.monotonic() - start
    agreed = call(folder / "verify.log", [*EMOTION, "verify", run]).strip().splitlines()[-1]
    stages = json.loads((run / "run.json").read_text(encoding="utf-8"))["stages"]
    times = ", ".join(f"{name[:2]}: {facts['seconds']:.0f} s" for name, facts in stages.items())
    events = [read_started(folder) for folder in sorted((run / "models").iterdir())]
    return f"{took:.0f} s ({times}); {', '.join(sorted(set(events)))}; {agreed}"


def read_started(model_dir: Path) -> str:
    """On what, and in which numbers, a model of a run was trained."""
    lines = (model_dir / "events.jsonl").read_text(encoding="utf-8").splitlines()
    started = next(event for event in map(json.loads, lines) if event["kind"] == "started")
    return f"{started['device']} {started['precision']}"


def check_devices_agree(folder: Path, data: str | None) -> str:
    """A model of the run says the same of the same faces on the GPU and on the CPU."""
    model_dir = needs_run(folder) / "models" / "r18_pre_emotion"
    faces = folder / "faces"
    code = (
        "import sys, cv2; from pathlib import Path; from emotion_utils.synthetic.faces import render_path\n"
        "faces = Path(sys.argv[1]); faces.mkdir(exist_ok=True)\n"
        "for n in range(12): cv2.imwrite(str(faces / f'{n}.png'), render_path(f'happy/person_{n:03d}_000.png', 0, 96))"
    )
    call(folder / "faces.log", [sys.executable, "-P", "-c", code, faces])
    tables = []
    for device in ("cpu", os.environ.get("EMOTION_DEVICE", "")):
        target = folder / f"predicted-{device or 'gpu'}.csv"
        command = [*EMOTION, "predict", model_dir, faces, "--output", target]
        call(folder / f"predict-{device or 'gpu'}.log", command, environment={"EMOTION_DEVICE": device})
        import pandas as pd

        tables.append(pd.read_csv(target).set_index("path"))
    names = [name for name in tables[0].columns[tables[0].columns.get_loc("confidence") + 1 :] if name != "reason"]
    difference = float((tables[0][names] - tables[1][names]).abs().max().max())
    if not difference < 0.01:
        raise Failure(f"probabilities differ by up to {difference:.3g} between the CPU and the GPU")
    return f"{len(tables[0])} faces, probabilities differ by at most {difference:.1g}"


def check_resume(folder: Path, data: str | None) -> str:
    """A training that is killed half-way and started again ends in the bits of one that was not."""
    own = [sys.executable, "-P", __file__]
    results = []
    for name, kill_at in (("whole", 0), ("killed", KILL_AT)):
        target = folder / name
        shutil.rmtree(target, ignore_errors=True)
        if kill_at:
            killed = subprocess.run([*own, "--train", target, "--kill-at", str(kill_at)], capture_output=True)
            if killed.returncode != -signal.SIGKILL:
                raise Failure(f"the training to be killed ended with status {killed.returncode} by itself")
        call(folder / f"{name}.log", [*own, "--train", target])
        results.append((target / "best.sha256").read_text(encoding="ascii"))
    if results[0] != results[1]:
        raise Failure("the weights of the resumed training are not those of the uninterrupted one")
    return f"weights {results[0][:12]} both times"


def check_processes(folder: Path, data: str | None) -> str:
    """Two GPUs are used by two processes."""
    code = "from emotion_utils.devices import count_gpus; print(count_gpus())"
    gpus = int(call(folder / "gpus.log", [sys.executable, "-P", "-c", code]).split()[-1])
    if gpus < 2:
        raise Skip(f"{gpus} GPU" if gpus else "no GPU")
    run = needs_run(folder)
    model_dir = run / "models" / "r18_pre_emotion"
    shutil.copytree(run, folder / "run-of-two", dirs_exist_ok=True)
    model_dir = folder / "run-of-two" / "models" / "r18_pre_emotion"
    shutil.rmtree(model_dir)
    call(folder / "processes.log", [*EMOTION, "train", "r18_pre_emotion", "--run", folder / "run-of-two"])
    lines = (model_dir / "events.jsonl").read_text(encoding="utf-8").splitlines()
    started = next(event for event in map(json.loads, lines) if event["kind"] == "started")
    if started["processes"] != gpus:
        raise Failure(f"{gpus} GPUs are here, and {started['processes']} processes trained")
    return f"{started['processes']} processes"


def check_thorough(folder: Path, data: str | None) -> str:
    """The thorough recipe on data with a split, from random weights: time and accuracy. Only where it is asked for."""
    if not data:
        raise Skip("needs --data with folders train and validation")
    table = folder / "thorough.csv"
    code = (
        "import sys, pandas as pd; from emotion_utils.bench.accuracy import bench_accuracy\n"
        "next(bench_accuracy(sys.argv[1], ways=('thorough',))).to_csv(sys.argv[2])"
    )
    call(folder / "thorough.log", [sys.executable, "-P", "-c", code, data, table])
    import pandas as pd

    curve = pd.read_csv(table)
    chosen = curve.loc[curve["val_acc"].idxmax()]
    return (
        f"{len(curve)} epochs in {curve['seconds'].iloc[-1]:.0f} s; epoch {chosen['epoch']:.0f} is right on "
        f"{chosen['unseen']:.1%} of the unseen faces, {chosen['unseen_flipped']:.1%} with their mirror images"
    )


def needs_run(folder: Path) -> Path:
    run = folder / "run"
    if not (run / "models" / "r18_pre_emotion" / "model.json").exists():
        raise Skip("needs the run, which failed or was left out")
    return run


# -- a small training, in a process of its own -----------------------------------------------------


def train_small(folder: Path, kill_at: int) -> None:
    """ResNet18 on noise, two epochs of four steps with a checkpoint after each step; leaves a checksum of the best."""
    import hashlib

    import numpy as np
    import torch

    from emotion_utils.config import resolve_config, validate_config
    from emotion_utils.models.zoo import build_model
    from emotion_utils.run import Run
    from emotion_utils.store.batches import Dataset
    from emotion_utils.training import checkpoint
    from emotion_utils.training.distributed import join_team
    from emotion_utils.training.epochs import EpochLoop
    from emotion_utils.training.numerics import Numerics
    from emotion_utils.training.repeatable import deterministic

    checkpoint.INTERVAL_S, checkpoint.COST_SHARE = 0.0, 1e9
    model, size_px, classes = "r18_scratch_emotion", 32, ("angry", "happy", "sad")
    settings = {"models": [model], "epochs": 2, "batch_size": 16, "image_size_px": size_px}
    config = validate_config(resolve_config("demo").model_dump() | settings)

    def noise(count: int, seed: int) -> Dataset:
        images = np.random.default_rng(seed).integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8)
        ids = [f"{seed}-{place:04d}" for place in range(count)]
        return Dataset(images, np.arange(count), torch.arange(count) % 3, ids, classes)

    with join_team() as team, deterministic():
        net = build_model(model, num_classes=3, image_size_px=size_px, weights="random")
        trainer = EpochLoop(net, noise(64, 1), noise(24, 2), config.recipes[model], Run(folder, config), model, team)
        begin, count = trainer.learner.begin, iter(range(1, 10**6))

        def counting(*args, **kwargs):
            if next(count) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return begin(*args, **kwargs)

        trainer.learner.begin = counting
        if team.device.type == "cuda":  # not by the clock: two trainings have to compute alike
            trainer.learner.use(Numerics("bfloat16", channels_last=True, graphed=True))
        trainer.fit()
    weights = b"".join(trainer.best[name].cpu().numpy().tobytes() for name in sorted(trainer.best))
    (folder / "best.sha256").write_text(hashlib.sha256(weights).hexdigest(), encoding="ascii")


CHECKS: dict[str, Callable[[Path, str | None], str]] = {
    re.sub("^check_", "", check.__name__).replace("_", "-"): check
    for check in (
        check_device, check_bench, check_run, check_devices_agree, check_resume, check_processes, check_thorough
    )
}  # fmt: skip
USUAL = [name for name in CHECKS if name != "thorough"]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
