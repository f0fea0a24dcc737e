"""Examples with what each model predicts: nothing may lie on anything else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from emotion_utils.figures.examples import plot_examples


@pytest.mark.parametrize("classes", [("angry", "happy", "sad"), ("WWWWWWWWWWWWWWW", "neutral and more letters", "sad")])
def test_names_and_percentages_lie_on_no_face(classes):
    row = {"label": classes[0], "predicted": classes[1], classes[0]: 0.0, classes[1]: 1.0, classes[2]: 0.0}
    tables = {model: pd.DataFrame([row] * 2) for model in ("VGG16_emotion", "r18_scratch_emotion")}
    maps = {model: np.zeros((2, 8, 8)) for model in tables}
    figure = plot_examples(
        np.zeros((2, 8, 8, 3), dtype=np.uint8), tables, maps, classes, dict.fromkeys(tables, "a model")
    )
    FigureCanvasAgg(figure).draw()
    faces = [axes.get_window_extent() for axes in figure.axes if axes.images]
    bars = [axes for axes in figure.axes if not axes.images]
    words = [text.get_window_extent() for axes in bars for text in [*axes.get_yticklabels(), *axes.texts]]
    assert (len(faces), len(words)) == (2 + 4, 4 * 6)
    assert not [(word, face) for word in words for face in faces if word.overlaps(face)]
    assert max(word.x1 for word in words) <= figure.bbox.x1
