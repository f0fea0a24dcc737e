"""What is wrong with the images of a source: each is read once, judged, and kept or set aside with its reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from emotion_utils.artefacts import FAIRNESS, FRAME_COLUMNS, MANIFEST_COLUMNS, NUMBER_PROPERTIES, TEXT_PROPERTIES
from emotion_utils.audit import near_duplicates
from emotion_utils.audit.auxiliary import separate
from emotion_utils.audit.face_detectors import get_detector
from emotion_utils.audit.faces import CropMode
from emotion_utils.audit.frames import frames_of
from emotion_utils.audit.originals import compare_with_original
from emotion_utils.audit.properties import property_table
from emotion_utils.audit.scan import Scan, read_thumbs, scan_images
from emotion_utils.audit.turned_copies import find_turned_copies
from emotion_utils.parallel import count_workers
from emotion_utils.progress import Progress
from emotion_utils.sources.layouts import VOTES
from emotion_utils.sources.source import Source
from emotion_utils.sources.votes import measure_agreement

MAX_EXAMPLES = 24  # pairs and images that the audit names for a gallery
MAX_NAMED = 5  # other copies that a reason names
COPIES = {"exact": "exact duplicate", "pixels": "same pixels"}  # kinds of reason: of the same bytes, or pixels only
CALIBRATION_SEED = 0  # of the random pairs and bands; the run's seed must not change what counts as a duplicate


def audit_images(
    source: Source,
    *,
    crop: CropMode = "never",
    missed: Literal["keep", "quarantine"] = "keep",
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Reads every image of `source` once and looks for the face in it; `progress` is called with (done, total).

    The manifest has artefacts.MANIFEST_COLUMNS, one row per image in the order of the source's table, with the split
    that the data brings or "", and more columns:
    - image: number of the distinct image (by decoded pixels), -1 where unusable; equal images are copies;
    - cluster: name shared by near duplicates (nearly the same image: cut, light or file differ), else "";
    - votes, where the labels are votes: see sources.votes.write_votes;
    - face_left, face_top, face_side: the square that `crop` uses of the image, in pixels; side 0: all of it;
    - what the image is like besides the face: see properties.measure_image.

    Among copies the one that the data holds out is kept (test before val before train), of these the first in path
    order. Its id is the SHA-256 of the file's bytes; any other file with the same bytes gets that of id and path, so
    that ids are unique. The same image under two labels is set aside altogether: nobody can tell which is right.
    A reason reads "kind" or "kind: what exactly".

    The audit (JSON) holds: classes; images, kept, quarantined (counts, without auxiliary classes, as all that follow
    up to reasons); per_class {class: {images, kept}}; reasons
    {kind: count}; conversions {kind: count}; faces (what became of the crop, see `_describe_faces`); duplicates
    {exact, pixels}: copies set aside, by bytes or by pixels only; conflicts {pictures: images under two labels, images:
    their files, examples};
    near_duplicates {clusters, images, largest, pairs, mirrored_pairs, mixed_labels, candidates, threshold_bits,
    min_similarity, expected_false_candidates, distance_histogram (number of random pairs at 0, 1, ... bits),
    similarity_histogram (number of candidates in 50 bins of 0-1), examples (the least similar pairs taken: path, other,
    similarity, mirrored), left_out (candidates that were not compared, since each image is with its nearest alone),
    turned (of the search for turned and zoomed copies, see turned_copies.find_turned_copies; pairs: those that the
    other search did not find)}; sizes {median, smallest, largest: [w, h]}; found (what the source was read as, a line);
    dataset {name, licence, citation, difference (from the original, a line)} or None where none was recognised;
    agreement (see votes.measure_agreement) or None; notes (lines for a person); fingerprint (of the source's content).
    """
    workers = workers or count_workers()
    scan = scan_images(source, workers=workers, crop=crop, keep_missed=missed == "keep", progress=progress)
    manifest = source.table.copy()
    manifest["image"] = _number_images(scan)
    manifest[list(FRAME_COLUMNS)] = np.array(scan.frames, dtype=np.int64).reshape(-1, 3)
    manifest["reason"], conflicts = _judge(manifest, scan)
    manifest["status"] = np.where(manifest["reason"] == "", "kept", "quarantined")
    manifest["id"] = _unique_ids(scan.ids, manifest["path"], manifest["status"] == "kept")
    manifest["width"], manifest["height"] = np.array(scan.sizes, dtype=np.int64).reshape(-1, 2).T
    manifest["cluster"], near = _find_near_duplicates(source, manifest, scan, workers)
    manifest = manifest.join(property_table(scan.texts, scan.numbers))
    more = [*FRAME_COLUMNS, *TEXT_PROPERTIES, *NUMBER_PROPERTIES]
    more += [name for name in (VOTES, FAIRNESS) if name in manifest]
    manifest = manifest[[*MANIFEST_COLUMNS, "image", "cluster", *more]]
    asked = separate(manifest, source.auxiliary)[0]
    kept = asked[asked["status"] == "kept"]
    counts = count_images(asked, source.classes)
    audit = {
        **counts,
        "conversions": dict(sorted(Counter(name for names in scan.conversions for name in names).items())),
        "faces": _describe_faces(scan, crop, missed),
        "duplicates": {kind: counts["reasons"].get(reason, 0) for kind, reason in COPIES.items()},
        "conflicts": conflicts,
        "near_duplicates": near,
        "sizes": _describe_sizes(manifest),
        "found": source.found,
        "dataset": _describe_dataset(source, asked, scan),
        "agreement": measure_agreement(kept[VOTES], kept["label"]) if VOTES in kept else None,
        "notes": list(source.notes),
        "fingerprint": source.fingerprint(scan.ids),
    }
    return manifest, audit


def count_images(manifest: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """What an audit counts of a manifest: classes, images, kept, quarantined, per_class and reasons."""
    kept = manifest["status"] == "kept"
    before, after = manifest["label"].value_counts(), manifest["label"][kept].value_counts()
    return {
        "classes": list(classes),
        "images": len(manifest),
        "kept": int(kept.sum()),
        "quarantined": int((~kept).sum()),
        "per_class": {name: {"images": int(before.get(name, 0)), "kept": int(after.get(name, 0))} for name in classes},
        "reasons": dict(sorted(Counter(map(kind_of, manifest["reason"][~kept])).items())),
    }


def complete_audit(
    audit: dict[str, Any], manifest: pd.DataFrame, division: dict[str, Any], suspects: pd.DataFrame
) -> dict[str, Any]:
    """The audit of `audit_images` with what became known since: counts, the division, suspected labels.

    suspects {judged, doubted, accuracy (0-1, None where nothing was judged), features, listed: records path, label,
    suggested, score}: see label_suspects.find_label_suspects.
    """
    paths = manifest.set_index("id")["path"]
    listed = suspects.assign(path=suspects["id"].map(paths))[["path", "label", "suggested", "score"]]
    return {
        **audit,
        **count_images(manifest, audit["classes"]),
        **division,
        "suspects": {**suspects.attrs, "listed": listed.to_dict("records")},
    }


def kind_of(reason: str) -> str:
    """The kind of a reason: what stands before its details."""
    return reason.partition(":")[0]


def _number_images(scan: Scan) -> np.ndarray:
    """int64 (n,): equal pixels have equal numbers, counted from 0 in order of first appearance; -1 where unusable."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(pixels, len(numbers)) if pixels else -1 for pixels in scan.pixels], np.int64)


def _judge(manifest: pd.DataFrame, scan: Scan) -> tuple[list[str], dict[str, Any]]:
    """The reason of each row ("" for kept ones), and the conflicts."""
    reasons = list(scan.reasons)
    paths, labels = manifest["path"].to_numpy(), manifest["label"].to_numpy()
    held_out = manifest["split"].map({"test": 2, "val": 1}).fillna(0).to_numpy()
    conflicts = []
    for rows in _rows_of_copies(manifest["image"]):
        if len(set(labels[rows])) > 1:
            conflicts.append([f"{paths[row]} ({labels[row]})" for row in rows])
            for place, row in enumerate(rows):
                others = conflicts[-1][:place] + conflicts[-1][place + 1 :]
                more = f" and {len(others) - MAX_NAMED} more" if len(others) > MAX_NAMED else ""
                reasons[row] = f"two labels: the same image is {', '.join(others[:MAX_NAMED])}{more}"
            continue
        first = rows[held_out[rows].argmax()]
        for row in rows[rows != first]:
            kind = COPIES["exact" if scan.ids[row] == scan.ids[first] else "pixels"]
            reasons[row] = f"{kind}: of {paths[first]}"
    found = {"pictures": len(conflicts), "images": sum(map(len, conflicts)), "examples": conflicts[:MAX_EXAMPLES]}
    return reasons, found


def _rows_of_copies(images: pd.Series) -> list[np.ndarray]:
    """The rows of each image that is there more than once, in order of first appearance."""
    repeated = images.reset_index(drop=True)[(images.to_numpy() >= 0) & images.duplicated(keep=False).to_numpy()]
    return [rows.index.to_numpy() for _, rows in repeated.groupby(repeated)]


def _unique_ids(ids: list[str], paths: pd.Series, kept: pd.Series) -> list[str]:
    """Of files with the same bytes the kept one (or else the first) has their id, the others one made with the path."""
    owners: dict[str, int] = {}
    for row in [*np.flatnonzero(kept), *np.flatnonzero(~kept)]:
        owners.setdefault(ids[row], row)
    return [
        image_id if owners[image_id] == row else hashlib.sha256(f"{image_id} {path}".encode()).hexdigest()
        for row, (image_id, path) in enumerate(zip(ids, paths, strict=True))
    ]


def _find_near_duplicates(
    source: Source, manifest: pd.DataFrame, scan: Scan, workers: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """The cluster of each row, and what the audit says about them; one row stands for all copies of an image."""
    images = manifest["image"].to_numpy()
    rows = np.flatnonzero((images >= 0) & ~manifest["image"].duplicated().to_numpy())
    paths, frames = manifest["path"].to_numpy()[rows], frames_of(manifest)[rows]
    hashes = scan.hashes[rows]
    rng = np.random.default_rng(CALIBRATION_SEED)
    calibration = near_duplicates.calibrate(hashes, rng)
    found = near_duplicates.find_candidates(hashes, calibration.threshold_bits, rng)
    distances = near_duplicates.hash_distance(hashes[found[:, 0], 0], hashes[found[:, 1], found[:, 2]])
    nearest = near_duplicates.keep_nearest(found, distances, len(rows))
    candidates, distances = found[nearest], distances[nearest]

    def load_thumbs(chosen: Sequence[int]) -> np.ndarray:
        return read_thumbs(source, paths[chosen], frames[chosen], near_duplicates.CLOSE_PX)

    similarities = near_duplicates.compare_candidates(candidates, load_thumbs, workers)
    least = near_duplicates.find_min_similarity(similarities, distances, calibration.threshold_bits)
    pairs, taken = candidates[similarities >= least], similarities[similarities >= least]
    turned, search = find_turned_copies(scan.turned[rows], load_thumbs, rng, workers)
    numbers = near_duplicates.join_pairs(np.concatenate([pairs, turned]), len(rows))
    names = np.array([f"near_{number:05d}" if number >= 0 else "" for number in numbers], dtype=object)
    clusters = np.where(images >= 0, names[images], "") if len(rows) else np.full(len(manifest), "", object)
    return clusters, {
        **_describe_clusters(manifest.assign(cluster=clusters)),
        **_describe_pairs(pairs, taken, paths),
        "threshold_bits": calibration.threshold_bits,
        "expected_false_candidates": round(calibration.expected_false_candidates, 1),
        "distance_histogram": calibration.histogram.tolist(),
        "candidates": len(candidates),
        "left_out": int((~nearest).sum()),
        "turned": search | {"pairs": len({*map(tuple, turned[:, :2].tolist())} - {*map(tuple, pairs[:, :2].tolist())})},
        "min_similarity": round(least, 4),
        "similarity_histogram": np.histogram(np.clip(similarities, 0, 1), 50, (0, 1))[0].tolist(),
    }


def _describe_pairs(pairs: np.ndarray, similarities: np.ndarray, paths: np.ndarray) -> dict[str, Any]:
    least = np.argsort(similarities, kind="stable")[:MAX_EXAMPLES]
    one, other, mirrored = pairs[least].T
    found = {
        "path": paths[one], "other": paths[other], "similarity": similarities[least].astype(float).round(4),
        "mirrored": mirrored.astype(bool),
    }  # fmt: skip
    examples = pd.DataFrame(found).to_dict("records")
    return {"pairs": len(pairs), "mirrored_pairs": int(pairs[:, 2].sum()), "examples": examples}


def _describe_clusters(manifest: pd.DataFrame) -> dict[str, Any]:
    """Counts over the kept images; a cluster with other labels in it hints at wrong labels."""
    kept = manifest[(manifest["status"] == "kept") & (manifest["cluster"] != "")]
    sizes = kept["cluster"].value_counts()
    sizes = sizes[sizes > 1]
    mixed = kept.groupby("cluster")["label"].nunique() > 1
    return {
        "clusters": len(sizes),
        "images": int(sizes.sum()),
        "largest": int(sizes.max()) if len(sizes) else 0,
        "mixed_labels": int(mixed.sum()),
    }


def _describe_dataset(source: Source, manifest: pd.DataFrame, scan: Scan) -> dict[str, str] | None:
    if source.dataset is None:
        return None
    return {
        "name": source.dataset.name,
        "licence": source.dataset.licence,
        "citation": source.dataset.citation,
        "difference": compare_with_original(source, manifest, {pixels.hex()[:16] for pixels in scan.pixels}),
    }


def _describe_faces(scan: Scan, crop: CropMode, missed: str) -> dict[str, Any]:
    """Of all readable images: cropped, filled by their face (so left whole), missed, and not_searched at all.

    And several: those with more than one face, of which the first in faces.rank_faces was taken.
    """
    outcomes = Counter(outcome if found or outcome != "whole" else "not_searched" for outcome, found in scan.crops)
    searched = sum(outcomes[outcome] for outcome in ("cropped", "whole", "missed"))
    return {
        "crop": crop,
        "missed_are": "kept" if missed == "keep" else "quarantined",
        "detector": get_detector().name if searched else None,
        "cropped": outcomes["cropped"],
        "filled": outcomes["whole"],
        "missed": outcomes["missed"],
        "not_searched": outcomes["not_searched"],
        "several": sum(found > 1 for _, found in scan.crops),
    }


def _describe_sizes(manifest: pd.DataFrame) -> dict[str, list[int]] | None:
    """Width and height in pixels of the kept images; None where none is kept."""
    sizes = manifest.loc[manifest["status"] == "kept", ["width", "height"]].to_numpy()
    if not len(sizes):
        return None
    areas = sizes.prod(axis=1)
    return {
        "median": np.median(sizes, axis=0).astype(int).tolist(),
        "smallest": sizes[areas.argmin()].tolist(),
        "largest": sizes[areas.argmax()].tolist(),
    }
