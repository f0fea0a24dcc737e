"""Labels that look wrong: ranked by confident learning from probabilities of a model that never saw the image.

A suspicion is shown, never acted upon: a model that is right on half of the images errs often, and what it doubts
may just be rare. No torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
import pandas as pd

from emotion_utils.audit.frames import frames_of
from emotion_utils.audit.scan import read_thumbs
from emotion_utils.audit.ties import join_ties
from emotion_utils.parallel import count_workers, map_ahead
from emotion_utils.progress import Progress
from emotion_utils.sources.source import Source

MAX_IMAGES = 40_000  # beyond that a random part is judged: the time stays at about a minute on 2 cores
THUMB_PX = 48
CHUNK_IMAGES = 256
MAX_FEATURES = 200  # principal components; more only add noise,
IMAGES_PER_FEATURE = 8  # and so do more than this for few images
LOSS_WEIGHT = 75.0  # of the mean loss against the penalty; a decade up or down changes little on FER2013
NUM_FOLDS = 5
MAX_SHARE = 0.05  # of the images, or MIN_SUSPECTS: further down the list the model's own errors take over
MIN_SUSPECTS = 20
CELL_PX, BLOCK_CELLS, BINS = 8, 2, 9  # of the histograms: cells and blocks are square, blocks move by one cell
NUM_FEATURES = (THUMB_PX // CELL_PX - BLOCK_CELLS + 1) ** 2 * BLOCK_CELLS**2 * BINS
OPENCV, SKIMAGE = "OpenCV", "scikit-image"  # who makes the histograms
SUSPECT_COLUMNS = ("id", "label", "suggested", "score")


def find_label_suspects(
    source: Source, manifest: pd.DataFrame, *, seed: int = 0, progress: Progress | None = None
) -> pd.DataFrame:
    """Kept images whose label is doubtful, the most doubtful first (columns: see rank_suspects).

    Logistic regression on histograms of oriented gradients (Dalal & Triggs, 2005), cross-validated so that copies and
    images of one person are never in both parts. `attrs` of the result hold `judged` (number of images), `doubted`
    (how many labels the method doubts; the table stops at MAX_SHARE), `accuracy` (0-1, out of fold): how far the
    model that doubts is to be trusted, and `features` (who made the histograms: OPENCV or SKIMAGE).
    """
    kept = manifest[manifest["status"] == "kept"].reset_index(drop=True)
    if len(kept) > MAX_IMAGES:
        chosen = np.random.default_rng(seed).choice(len(kept), MAX_IMAGES, replace=False)
        kept = kept.iloc[np.sort(chosen)].reset_index(drop=True)
    labels, classes = pd.factorize(kept["label"], sort=True)
    groups = join_ties(kept)
    if len(classes) < 2 or min(kept["label"].value_counts()) < NUM_FOLDS or len(set(groups)) < NUM_FOLDS:
        return _empty()
    maker, describe = choose_describer()
    features = _extract_features(source, kept, describe, progress)
    probs = _predict_out_of_fold(features, labels, groups, seed)
    suspects = rank_suspects(kept["id"], kept["label"], probs, list(classes))
    accuracy = float((probs.argmax(axis=1) == labels).mean())
    shown = suspects.head(max(MIN_SUSPECTS, int(MAX_SHARE * len(kept))))
    shown.attrs = {"judged": len(kept), "doubted": len(suspects), "accuracy": accuracy, "features": maker}
    return shown


def rank_suspects(
    ids: Sequence[str], labels: Sequence[str], probs: np.ndarray, class_names: Sequence[str]
) -> pd.DataFrame:
    """Labels in doubt by confident learning (Northcutt et al., 2021), the most doubtful first.

    `probs` float (n, k), out of sample, in the order of `class_names`. Columns: id, label, suggested (the most
    probable class), score (normalised margin, 0 doubtful to 1 certain).
    """
    from cleanlab.filter import find_label_issues  # takes seconds to import
    from cleanlab.rank import get_label_quality_scores

    places = {name: place for place, name in enumerate(class_names)}
    given = np.array([places[label] for label in labels])
    found = find_label_issues(given, probs, return_indices_ranked_by="normalized_margin", n_jobs=1)
    scores = get_label_quality_scores(given, probs, method="normalized_margin")
    table = pd.DataFrame(
        {
            "id": np.asarray(ids, dtype=object),
            "label": np.asarray(labels, dtype=object),
            "suggested": np.asarray(class_names, dtype=object)[probs.argmax(axis=1)],
            "score": np.round(scores, 6),
        }
    )
    return table.iloc[found].reset_index(drop=True)


def choose_describer() -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """Who makes the histograms here, and the function that does: uint8 (THUMB_PX, THUMB_PX) to (NUM_FEATURES,).

    OpenCV 5 brings none any more. scikit-image's differ in two ways: a pixel counts for one cell and one direction
    alone, not for all that are near, and those in the middle of a block for no more than the others.
    """
    if hasattr(cv2, "HOGDescriptor"):
        window, block, cell = ((side, side) for side in (THUMB_PX, BLOCK_CELLS * CELL_PX, CELL_PX))
        opencv = cv2.HOGDescriptor(window, block, cell, cell, BINS)
        return OPENCV, lambda thumb: opencv.compute(thumb).ravel()
    from skimage.feature import hog  # takes a second to import

    return SKIMAGE, partial(
        hog,
        orientations=BINS,
        pixels_per_cell=(CELL_PX, CELL_PX),
        cells_per_block=(BLOCK_CELLS, BLOCK_CELLS),
        block_norm="L2-Hys",
        transform_sqrt=True,  # as OpenCV does by default
    )


def _extract_features(
    source: Source,
    kept: pd.DataFrame,
    describe: Callable[[np.ndarray], np.ndarray],
    progress: Progress | None,
) -> np.ndarray:
    """float32 (n, NUM_FEATURES): histograms of oriented gradients of grey thumbnails."""
    paths, frames = kept["path"].tolist(), frames_of(kept)

    def describe_chunk(chunk: slice) -> np.ndarray:
        return np.stack([describe(thumb) for thumb in read_thumbs(source, paths[chunk], frames[chunk], THUMB_PX)])

    chunks = [slice(start, start + CHUNK_IMAGES) for start in range(0, len(paths), CHUNK_IMAGES)]
    features = np.zeros((len(paths), NUM_FEATURES), np.float32)
    done = 0
    for part in map_ahead(describe_chunk, chunks, count_workers()):
        features[done : done + len(part)] = part
        done += len(part)
        if progress is not None:
            progress(done, len(paths))
    return features


def _predict_out_of_fold(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Probabilities float64 (n, k) of each image by a model fitted without its group."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    size = max(1, min(MAX_FEATURES, len(features) // IMAGES_PER_FEATURE))
    reduced = PCA(size, whiten=True, svd_solver="covariance_eigh").fit_transform(features)
    probs = np.zeros((len(labels), labels.max() + 1))
    folds = StratifiedGroupKFold(NUM_FOLDS, shuffle=True, random_state=seed)
    for rest, fold in folds.split(reduced, labels, groups):
        model = LogisticRegression(C=LOSS_WEIGHT / len(rest), max_iter=200).fit(reduced[rest], labels[rest])
        probs[np.ix_(fold, model.classes_)] = model.predict_proba(reduced[fold])
    return probs


def _empty() -> pd.DataFrame:
    table = pd.DataFrame(columns=list(SUSPECT_COLUMNS), dtype=object)
    table.attrs = {"judged": 0, "doubted": 0, "accuracy": None, "features": None}
    return table
