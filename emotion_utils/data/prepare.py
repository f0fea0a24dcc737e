"""From a run's configuration to its pictures: the source that it names and the store made from it."""

from __future__ import annotations

from emotion_utils.config import RunConfig
from emotion_utils.data.sources import Source, open_source


def source_of(config: RunConfig) -> Source:
    """The source that `config` names. Raises InputError where it cannot be used."""
    return open_source(
        config.data,
        classes=config.classes,
        seed=config.seed,
        synthetic_images=config.synthetic_images,
        lenient=config.lenient,
    )
