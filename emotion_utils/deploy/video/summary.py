"""What a video showed, in numbers: of each track the share of time of each emotion, and what it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from emotion_utils.deploy.input_warnings import tell_colour, tell_size, tell_synthetic
from emotion_utils.deploy.video.rows import Chunk
from emotion_utils.deploy.video.table import STEPS
from emotion_utils.models.input_spec import InputSpec
from emotion_utils.printable import count_of

MOST_MOMENTS = 50  # of one kind that are named
BRIEF_S = 0.5  # tracks that are seen for less are counted and not shown: many are false alarms
LONGEST_GAP_S = 0.5  # between two analysed frames that counts as time in which a face was seen, or STEPS usual ones


class Tally:
    """Counts rows as they come; its size depends on the number of tracks, not on the length of the video."""

    def __init__(self, class_names: Sequence[str], step_s: float = 0.0) -> None:
        """`step_s` is the usual time from one analysed frame to the next, 0 where it is not known."""
        self._class_names = list(class_names)
        self._longest_gap_s = max(LONGEST_GAP_S, STEPS * step_s)
        self._tracks: dict[int, dict[str, Any]] = {}
        self._frames = self._with_faces = 0
        self._last_s = 0.0
        self._covering: list[list[float]] = []  # from, to, track, track
        self._cuts: list[float] = []
        self._last_frame = -1
        self._coloured = self._grey = 0  # frames with faces
        self._sides: Counter[int] = Counter()  # of faces, in pixels of the video

    def add(self, chunk: Chunk, rows: Sequence[Mapping[str, Any]]) -> None:
        """Takes the rows of `chunk`, as they are written."""
        for row in rows:
            if row["frame"] != self._last_frame:
                self._frames += 1
                self._with_faces += row["found"]
                self._last_frame = row["frame"]
            self._last_s = max(self._last_s, row["time_s"])
            if row["found"]:
                self._add_face(row)
        for time_s, one, other in chunk.covering:
            self._add_covering(time_s, one, other)
        self._cuts += chunk.cuts
        self._coloured, self._grey = self._coloured + chunk.coloured, self._grey + chunk.grey

    def summary(self) -> dict[str, Any]:
        """`frames`, `frames_with_faces`, `last_s`, `tracks`, `all_tracks`, `covering` and `cuts`."""
        tracks = [self._describe(number) for number in sorted(self._tracks)]
        seconds = Counter()
        for track in self._tracks.values():
            seconds.update(track["seconds"])
        return {
            "frames": self._frames, "frames_with_faces": self._with_faces, "last_s": self._last_s,
            "tracks": tracks,
            "all_tracks": {"seconds": round(sum(seconds.values()), 3), "shares": self._shares(seconds)},
            "covering": [
                {"from_s": start, "to_s": end, "tracks": [one, other]}
                for start, end, one, other in self._covering[:MOST_MOMENTS]
            ],
            "cuts_s": self._cuts[:MOST_MOMENTS],
        }  # fmt: skip

    def notes(self, spec: InputSpec) -> list[str]:
        """What a reader should know, in sentences; `spec` says what the model was taught on."""
        notes = [*tell_synthetic(spec)]
        if not self._with_faces:
            notes.append(f"no face was found in {count_of(self._frames, 'frame')}")
        if self._covering:
            start, _, one, other = self._covering[0]
            moments = f" and {count_of(len(self._covering) - 1, 'other moment')}" if len(self._covering) > 1 else ""
            notes.append(
                f"faces covered each other (tracks {one} and {other} from {start:.1f} s{moments}): "
                "afterwards their tracks may have changed places"
            )
        brief = sum(track["last_s"] - track["first_s"] < BRIEF_S for track in self._tracks.values())
        if brief:
            notes.append(f"{count_of(brief, 'track')} of less than {BRIEF_S:g} s: many of these are false alarms")
        return [*notes, *tell_colour(spec, self._coloured, self._grey, "frame"), *tell_size(spec, self._sides)]

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as JSON can hold it."""
        return {
            "tracks": [[number, dict(facts)] for number, facts in self._tracks.items()],
            "counts": [self._frames, self._with_faces, self._last_s, self._last_frame],
            "covering": self._covering, "cuts": self._cuts,
            "colours": [self._coloured, self._grey], "sides": sorted(self._sides.items()),
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        self._tracks = {number: dict(facts) for number, facts in state["tracks"]}
        self._frames, self._with_faces, self._last_s, self._last_frame = state["counts"]
        self._covering, self._cuts = [list(each) for each in state["covering"]], list(state["cuts"])
        self._coloured, self._grey = state["colours"]
        self._sides = Counter(dict(state["sides"]))

    def _add_face(self, row: Mapping[str, Any]) -> None:
        nothing = dict.fromkeys(self._class_names, 0.0)
        track = self._tracks.setdefault(
            row["track"],
            {"first_s": row["time_s"], "last_s": row["time_s"], "frames": 0, "seconds": nothing, "confidence": 0.0},
        )
        # The time since the track's last frame belongs to what is seen at its end.
        track["seconds"][row["predicted"]] += min(row["time_s"] - track["last_s"], self._longest_gap_s)
        track["last_s"] = row["time_s"]
        track["frames"] += 1
        self._sides[min(row["width"], row["height"])] += 1
        track["confidence"] += row["confidence"]

    def _add_covering(self, time_s: float, one: int, other: int) -> None:
        for moment in self._covering:
            if moment[2:] == [one, other] and time_s - moment[1] <= 1.0:
                moment[1] = time_s
                return
        self._covering.append([time_s, time_s, one, other])

    def _describe(self, number: int) -> dict[str, Any]:
        track = self._tracks[number]
        return {
            "track": number, "first_s": track["first_s"], "last_s": track["last_s"], "frames": track["frames"],
            "seconds": round(sum(track["seconds"].values()), 3), "shares": self._shares(track["seconds"]),
            "mean_confidence": round(track["confidence"] / track["frames"], 4),
        }  # fmt: skip

    def _shares(self, seconds: Mapping[str, float]) -> dict[str, float | None]:
        """0-1 of the time of each class; None where there is no time."""
        total = sum(seconds.values())
        return {name: round(seconds.get(name, 0.0) / total, 4) if total else None for name in self._class_names}
