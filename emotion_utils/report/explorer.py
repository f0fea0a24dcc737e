"""For JupyterLab: test images to leaf through, and a photograph of one's own to show to the models."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from emotion_utils.audit.faces import crop_faces
from emotion_utils.devices import pick_device
from emotion_utils.errors import InputError
from emotion_utils.evaluation.explain import explain_faces
from emotion_utils.evaluation.predict import predict_probs, tabulate
from emotion_utils.figures.examples import pick_faces, plot_examples
from emotion_utils.models.zoo import EmotionNet, load_model
from emotion_utils.progress import QUIET_VARIABLE
from emotion_utils.report.exhibits import FACES_OFF, Shown
from emotion_utils.report.results import read_results
from emotion_utils.run import Run
from emotion_utils.sources.decode import decode_rgb
from emotion_utils.sources.decoded import refuse_unusable
from emotion_utils.store.batches import Dataset, open_split, restore_images
from emotion_utils.store.resize import resize_square

PAGE = 4  # examples at a time
EVERY = "all"
CROPPING = {"cropped": "cut to the face", "whole": "taken whole", "missed": "no face was found: taken whole"}


def explore(run: Run) -> Any:
    """The explorer as a widget, or a sentence where nobody can use it: run by a pipeline, or with show_faces off."""
    if not run.config.show_faces:
        return FACES_OFF
    if os.environ.get(QUIET_VARIABLE):
        return Shown("<p>The explorer appears here when the notebook is open in JupyterLab.</p>")
    return Explorer(run).widget


def select(
    predictions: pd.DataFrame, label: str = EVERY, verdict: str = EVERY, confidence: tuple[float, float] = (0.0, 1.0)
) -> list[str]:
    """Ids of one model's rows with this `label`, `verdict` (all, right, wrong) and confidence (0-1, ends included),
    the surest first; ties are broken by id."""
    rows = predictions.drop(columns=["split", "label", "predicted"]).set_index("id")
    sure = rows.max(axis=1).to_numpy()
    right = (predictions["label"] == predictions["predicted"]).to_numpy()
    kept = (sure >= confidence[0]) & (sure <= confidence[1])
    if label != EVERY:
        kept &= (predictions["label"] == label).to_numpy()
    if verdict != EVERY:
        kept &= right == (verdict == "right")
    chosen = pd.Series(sure, predictions["id"])[kept].sort_index().sort_values(ascending=False, kind="stable")
    return list(chosen.index)


def show_photograph(
    data: bytes, nets: Mapping[str, EmotionNet], class_names: tuple[str, ...], titles: Mapping[str, str]
) -> tuple[Figure, str]:
    """The example of one image file, and a line on what was done to it. Raises InputError where it cannot be used."""
    rgb = decode_rgb(data)
    refuse_unusable(rgb)
    crop = crop_faces(rgb, "auto")
    size_px = next(iter(nets.values())).input_spec.size_px
    face = resize_square(crop.image, size_px)[None]
    images = torch.from_numpy(face).permute(0, 3, 1, 2)
    said = {}
    for model, net in nets.items():
        row = tabulate(["photograph"], "test", np.array([0]), predict_probs(net, images), class_names)
        said[model] = row.assign(label="")
    height, width = rgb.shape[:2]
    note = f"{width} x {height} pixels, {CROPPING[crop.outcome]}, shown to the models at {size_px} x {size_px}"
    return plot_examples(face, said, explain_faces(nets, face), class_names, titles), note


class Explorer:
    """Controls and what they show; `widget` is what a notebook displays."""

    def __init__(self, run: Run) -> None:
        import ipywidgets as widgets

        self.run = run
        self.results = read_results(run, measured=False)
        names, models = list(self.results.class_names), self.results.models
        self.label = widgets.Dropdown(options=[EVERY, *names], description="class")
        self.model = widgets.Dropdown(options=models, description="model")
        self.verdict = widgets.Dropdown(options=[EVERY, "right", "wrong"], description="prediction")
        self.confidence = widgets.FloatRangeSlider(value=(0, 1), min=0, max=1, step=0.01, description="confidence")
        self.page = widgets.BoundedIntText(value=1, min=1, max=1, description="page")
        self.count = widgets.HTML()
        self.examples = widgets.Image(format="png")
        self.upload = widgets.FileUpload(accept="image/*", multiple=False, description="a photograph")
        self.note = widgets.HTML()
        self.photograph = widgets.Image(format="png", layout={"display": "none"})
        for control in (self.label, self.model, self.verdict, self.confidence):
            control.observe(self._restart, names="value")
        self.page.observe(self._show, names="value")
        self.upload.observe(self._name, names="value")
        filters = widgets.HBox(
            [self.label, self.model, self.verdict, self.confidence, self.page], layout={"flex_flow": "wrap"}
        )
        own = [self.upload, self.note, self.photograph]
        self.widget = widgets.VBox([filters, self.count, self.examples, *own])
        self._restart()

    @cached_property
    def test(self) -> Dataset:
        restore_images(self.run)
        self.run.note_test_opening("05_creative_element", of=self.results.weights_sha256)
        return open_split(self.run, "test")

    @cached_property
    def nets(self) -> dict[str, EmotionNet]:
        return {model: load_model(self.run.model_dir(model), pick_device())[0] for model in self.results.models}

    @cached_property
    def titles(self) -> dict[str, str]:
        return {model: self.results.label(model) for model in self.results.models}

    def _restart(self, change: Any = None) -> None:
        """Another choice begins at its first page."""
        predictions = self.results.tests[self.model.value]
        self.chosen = select(predictions, self.label.value, self.verdict.value, self.confidence.value)
        self.page.max = max(1, -(-len(self.chosen) // PAGE))
        if self.page.value != 1:
            self.page.value = 1  # which shows it
        else:
            self._show()

    def _show(self, change: Any = None) -> None:
        ids = self.chosen[PAGE * (self.page.value - 1) :][:PAGE]
        self.examples.layout.display = None if ids else "none"  # an empty image would look broken
        if not ids:
            self.count.value = f"None of the {self.results.test_size} test images matches; widen the choice."
            self.examples.value = b""
            return
        self.count.value = (
            f"{len(self.chosen)} of {self.results.test_size} test images, page {self.page.value} of {self.page.max}"
        )
        faces, said = pick_faces(self.test, self.results.tests, ids)
        saliency = explain_faces(self.nets, faces)
        self.examples.value = _png(plot_examples(faces, said, saliency, self.results.class_names, self.titles))

    def _name(self, change: Any = None) -> None:
        """Shows the photograph that was dropped in to the models, or says why that cannot be done."""
        if not self.upload.value:
            return
        try:
            data = bytes(self.upload.value[0]["content"])
            figure, self.note.value = show_photograph(data, self.nets, self.results.class_names, self.titles)
        except InputError as error:
            figure, self.note.value = None, f"This image cannot be used: {escape(str(error))}"
        self.photograph.value = _png(figure)
        self.photograph.layout.display = "none" if figure is None else None


def _png(figure: Figure | None) -> bytes:
    if figure is None:
        return b""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
