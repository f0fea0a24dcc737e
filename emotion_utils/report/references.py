"""The literature that the report names: a list at its end, and a mark wherever a name is used. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from operator import itemgetter

from emotion_utils.report.exhibits import Shown

TAG = re.compile(r"""(<(?:"[^"]*"|[^">])*>)""")
ELEMENT = re.compile(r"</?([a-zA-Z][\w-]*)")
# Names in these are no prose, or a link already.
UNMARKED = ("a", "code", "details", "h1", "h2", "h3", "nav", "pre", "script", "style", "svg", "table", "title")
SECTION = '<h2 id="'
LIST = '<div class="references">'


@dataclass(frozen=True)
class Reference:
    """A work: what it is called in a list, where it is found, and the words of the report that it stands behind."""

    key: str
    authors: str
    year: int
    title: str
    published: str
    link: str  # without https://; empty where it has none
    words: str  # a regular expression

    @property
    def url(self) -> str:
        return f"https://{self.link}" if self.link else ""


# In the order of their authors. Each word stands in the text of the report, where the mark is put behind it.
REFERENCES = (
    Reference(
        "adebayo", "Adebayo, J., Gilmer, J., Muelly, M., Goodfellow, I., Hardt, M., Kim, B.", 2018,
        "Sanity checks for saliency maps", "NeurIPS", "arxiv.org/abs/1810.03292", "randomisation test",
    ),
    Reference(
        "barsoum", "Barsoum, E., Zhang, C., Canton Ferrer, C., Zhang, Z.", 2016,
        "Training deep networks for facial expression recognition with crowd-sourced label distribution", "ICMI",
        "arxiv.org/abs/1608.01041", r"FER\+",
    ),
    Reference(
        "brier", "Brier, G. W.", 1950, "Verification of forecasts expressed in terms of probability",
        "Monthly Weather Review 78(1), 1-3",
        "doi.org/10.1175/1520-0493(1950)078%3C0001:VOFEIT%3E2.0.CO;2", "Brier score",
    ),
    Reference(
        "efron", "Efron, B.", 1979, "Bootstrap methods: another look at the jackknife",
        "Annals of Statistics 7(1), 1-26",
        "doi.org/10.1214/aos/1176344552", "[Bb]ootstrap",
    ),
    Reference(
        "ekman", "Ekman, P., Friesen, W. V.", 1978, "Facial Action Coding System", "Consulting Psychologists Press",
        "doi.org/10.1037/t27734-000", "facial action units",
    ),
    Reference(
        "geifman", "Geifman, Y., El-Yaniv, R.", 2017, "Selective classification for deep neural networks", "NeurIPS",
        "arxiv.org/abs/1705.08500", "[Rr]isk-coverage curves?|selective prediction",
    ),
    Reference(
        "goodfellow", "Goodfellow, I. J., Erhan, D., Carrier, P. L., and others", 2013,
        "Challenges in representation learning: a report on three machine learning contests", "ICONIP",
        "arxiv.org/abs/1307.0414", "FER-?2013",
    ),
    Reference(
        "guo", "Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q.", 2017, "On calibration of modern neural networks",
        "ICML", "arxiv.org/abs/1706.04599", "[Tt]emperature scaling",
    ),
    Reference(
        "gupta", "Gupta, M.", 2025, "Multiclass emotion recognition report",
        "24 April 2025; the study that this report repeats", "", "published study|[Tt]he study",
    ),
    Reference(
        "he", "He, K., Zhang, X., Ren, S., Sun, J.", 2016, "Deep residual learning for image recognition", "CVPR",
        "arxiv.org/abs/1512.03385", "ResNet-?18",
    ),
    Reference(
        "hendrycks", "Hendrycks, D., Dietterich, T.", 2019,
        "Benchmarking neural network robustness to common corruptions and perturbations", "ICLR",
        "arxiv.org/abs/1903.12261", "corruptions",
    ),
    Reference(
        "holm", "Holm, S.", 1979, "A simple sequentially rejective multiple test procedure",
        "Scandinavian Journal of Statistics 6(2), 65-70", "www.jstor.org/stable/4615733", r"Holm\b(?:'s correction)?",
    ),
    Reference(
        "mcnemar", "McNemar, Q.", 1947,
        "Note on the sampling error of the difference between correlated proportions or percentages",
        "Psychometrika 12, 153-157", "doi.org/10.1007/BF02295996", "McNemar test",
    ),
    Reference(
        "naeini", "Naeini, M. P., Cooper, G. F., Hauskrecht, M.", 2015,
        "Obtaining well calibrated probabilities using Bayesian binning", "AAAI", "doi.org/10.1609/aaai.v29i1.9602",
        "expected calibration error",
    ),
    Reference(
        "neurips", "NeurIPS", 2021, "NeurIPS paper checklist guidelines",
        "Conference on Neural Information Processing Systems", "neurips.cc/public/guides/PaperChecklist",
        "NeurIPS paper checklist",
    ),
    Reference(
        "northcutt", "Northcutt, C. G., Jiang, L., Chuang, I. L.", 2021,
        "Confident learning: estimating uncertainty in dataset labels",
        "Journal of Artificial Intelligence Research 70",
        "arxiv.org/abs/1911.00068", "[Cc]onfident learning",
    ),
    Reference(
        "parkhi", "Parkhi, O. M., Vedaldi, A., Zisserman, A.", 2015, "Deep face recognition", "BMVC",
        "doi.org/10.5244/C.29.41", "VGGFace",
    ),
    Reference(
        "pineau", "Pineau, J., Vincent-Lamarre, P., Sinha, K., and others", 2021,
        "Improving reproducibility in machine learning research", "Journal of Machine Learning Research 22(164), 1-20",
        "jmlr.org/papers/v22/20-303.html", "Machine Learning Reproducibility Checklist",
    ),
    Reference(
        "russakovsky", "Russakovsky, O., Deng, J., Su, H., and others", 2015,
        "ImageNet large scale visual recognition challenge", "International Journal of Computer Vision 115, 211-252",
        "doi.org/10.1007/s11263-015-0816-y", "ImageNet",
    ),
    Reference(
        "selvaraju", "Selvaraju, R. R., Cogswell, M., Das, A., Vedantam, R., Parikh, D., Batra, D.", 2017,
        "Grad-CAM: visual explanations from deep networks via gradient-based localization", "ICCV",
        "arxiv.org/abs/1610.02391", "Grad-CAM",
    ),
    Reference(
        "simonyan", "Simonyan, K., Zisserman, A.", 2015,
        "Very deep convolutional networks for large-scale image recognition", "ICLR", "arxiv.org/abs/1409.1556",
        r"VGG16\b",
    ),
    Reference(
        "tan", "Tan, M., Le, Q. V.", 2019, "EfficientNet: rethinking model scaling for convolutional neural networks",
        "ICML", "arxiv.org/abs/1905.11946", r"EfficientNet[\w-]*",
    ),
    Reference(
        "tsamardinos", "Tsamardinos, I., Greasidou, E., Borboudakis, G.", 2018,
        "Bootstrapping the out-of-sample predictions for efficient and accurate cross-validation",
        "Machine Learning 107, 1895-1922", "doi.org/10.1007/s10994-018-5714-4", "Tsamardinos and others",
    ),
    Reference(
        "wilson", "Wilson, E. B.", 1927, "Probable inference, the law of succession, and statistical inference",
        "Journal of the American Statistical Association 22(158), 209-212",
        "doi.org/10.1080/01621459.1927.10502953", "Wilson(?:'s)?",
    ),
    Reference(
        "zeiler", "Zeiler, M. D., Fergus, R.", 2014, "Visualizing and understanding convolutional networks", "ECCV",
        "arxiv.org/abs/1311.2901", "[Oo]cclusion",
    ),
)  # fmt: skip
URLS = frozenset(each.url for each in REFERENCES if each.url)
ITEM = re.compile(r'<p id="ref-(\w+)"><code>\[\d+\]</code>(.*?</p>)', re.DOTALL)


def list_references() -> Shown:
    """Every work as a list; the report keeps those that its text marks."""
    items = (_item(number, each) for number, each in enumerate(REFERENCES, start=1))
    return Shown(f"{LIST}{''.join(items)}</div>")


def _item(number: int, each: Reference) -> str:
    link = f' <a href="{escape(each.url)}">{escape(each.link)}</a>' if each.link else ""
    return (
        f'<p id="ref-{each.key}"><code>[{number}]</code> <span>{escape(each.authors)} ({each.year}). '
        f"<cite>{escape(each.title)}</cite>. {escape(each.published)}.{link}</span></p>"
    )


def mark_references(page: str) -> str:
    """A whole page with a numbered mark behind the first use of each work's words in each section, and with the list
    of references reduced to those that are marked."""
    start, end = page.index('<main id="content">'), page.rindex("</main>")
    sections = re.split(f"(?={SECTION})", page[start:end])
    places = [_find_words(section) for section in sections]
    used = {key for found in places for key in found}
    numbers = {each.key: number for number, each in enumerate((e for e in REFERENCES if e.key in used), start=1)}
    marked = "".join(map(_mark, sections, places, [numbers] * len(sections)))

    def number(item: re.Match[str]) -> str:
        key, rest = item.groups()
        return f'<p id="ref-{key}"><code>[{numbers[key]}]</code>{rest}' if key in numbers else ""

    marked = ITEM.sub(number, marked)
    return page[:start] + marked + page[end:]


def _find_words(section: str) -> dict[str, int]:
    """Where the mark of each work belongs that the section names."""
    texts, found = list(_texts(section)), {}
    for each in REFERENCES:
        words = re.compile(rf"(?<![\w-])(?:{each.words})(?![\w-])")
        places = (start + match.end() for start, text in texts if (match := words.search(text)))
        if (place := next(places, None)) is not None:
            found[each.key] = place
    return found


def _mark(section: str, places: dict[str, int], numbers: dict[str, int]) -> str:
    for key, place in sorted(places.items(), key=itemgetter(1), reverse=True):
        mark = f'<sup class="cite"><a href="#ref-{key}">[{numbers[key]}]</a></sup>'
        section = section[:place] + mark + section[place:]
    return section


def _texts(section: str) -> Iterator[tuple[int, str]]:
    """The pieces of prose, and where each begins."""
    place, inside = 0, 0
    for piece in TAG.split(section):
        element = ELEMENT.match(piece)
        if piece.startswith(LIST):
            return
        if element and element[1] in UNMARKED:
            inside += -1 if piece.startswith("</") else 1
        elif not element and not inside and piece.strip():
            yield place, piece
        place += len(piece)
