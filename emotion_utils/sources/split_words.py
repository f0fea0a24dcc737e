"""Names of splits and of persons, as people write them on folders and in tables, in the large languages."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from functools import lru_cache

# Words as `level_word` leaves them, without accents and vowel signs; a star stands for any ending.
_SPLITS = {
    "train": (
        "train trn training trainings trainingset trainieren treino treinamento treinar entrenamiento entrenar entreno "
        "entrain* apprentissage addestramento addestrare allenamento lern lernen egitim egitme antrenament* antrenare "
        "trening treningi treningow* trenink trenovani trenovaci traning tranings traening traenings uczenie uczacy "
        "uczaca uczace opetus koulutus harjoitus tanito tanitas edzes latih latihan pelatihan huanluyen daotao mafunzo "
        "trainval traindev обуч* трениров* тренув* навчан* навчальн* учебн* εκπαιδευσ* "
        "训练 訓練 培训 学习 学習 學習 훈련 학습 تدريب اموزش تربيت אימון प्रशिक्षण প্রশিক্ষণ பயிற்சி శిక్షణ ฝึก ฝึกสอน ฝึกฝน"
    ),
    "val": (
        "val valid validate validation validierung validierungs validacion validacao validazione validatie validasi "
        "validace validacni validering validointi validare validacio dev publictest convalida dogrulama gecerleme "
        "walidacj* walidacyjn* pengesahan xacthuc uthibitisho валид* валідац* επικυρωσ* "
        "验证 驗證 検証 校验 검증 تحقق اعتبارسنجی אימות ולידציה सत्यापन যাচাই சரிபார்ப்பு ตรวจสอบ"
    ),
    "test": (
        "test testing tests tst eval evaluation privatetest teste testes tester testen teszt teszteles testi testit "
        "testowy testowa testowe testovaci testovani testove testare testaus prueba pruebas prova prove essai essais "
        "pruf prufung pruef pruefung evaluacion avaliacao valutazione bewertung evaluierung sinama uji ujian pengujian "
        "kiemtra kiemthu danhgia majaribio pagsubok тест* испытан* випробуван* оценк* δοκιμ* αξιολογησ* τεστ "
        "测试 測試 评估 評估 評価 テスト 試験 시험 테스트 평가 اختبار تست ازمون ازمایش ٹیسٹ מבחן בדיקה परीक्षण परीक्षा "
        "টেস্ট পরীক্ষা சோதனை పరీక్ష ทดสอบ"
    ),
}
# What stands around such a word, or is written together with it, and says nothing: "FER2013Train", "Testdaten".
_FILLERS = (
    "set sets data dataset datasets image images img imgs folder folders dir file files picture pictures pics photo "
    "photos face faces sample samples part split subset emotion emotions expression expressions fer fer2013 aligned "
    "cropped labeled labelled label labels class annotations final raw new daten datensatz satz menge bilder teil "
    "datos dados donnees dati dane danych zbior gegevens imagenes imagens conjunto base ensemble veri verisi "
    "seti kumesi gambar citra данные данных набор выборка изображения "
    "集 組 组 用 数据 數據 资料 圖片 图片 图像 画像 データ セット 데이터 데이터셋 세트 셋 용 ال بيانات البيانات مجموعة "
    "داده डेटा ডেটা ข้อมูล ชุด ชุดข้อมูล"
)
_PARTICLES = "the de d l del della di da do du des dos der die das le la el of for para pour per z tap jeu is"
# Of these, a name with a number, or with one more word, is that of a person or a video: person_Anna, video 07.
_PERSONS = (
    "person people subject subj sub participant actor actress speaker model individual identity id patient child user "
    "volunteer man woman video vid clip movie sequence seq persona persone personne pessoa sujeto sujet soggetto "
    "sujeito participante teilnehmer teilnehmerin proband probandin versuchsperson vp osoba orang subjek kisi "
    "человек участник испытуемый 人 人物 被试 被験者 참가자 사람 شخص"
)
_FOLDS = {"fold", "folds", "kfold", "batch", "chunk", "block"}
_WRAPPERS = {"data", "dataset", "image", "images", "img", "imgs", "files", "folder", "pictures", "photos"}
_WORD = re.compile(r"[^\W\d_]+")
_CAPITAL_WITHIN = re.compile(r"(?<=[a-z\d])(?=[A-Z])")
_BARE_LETTERS = str.maketrans({"\u0131": "i", "ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "ي": "ی", "ك": "ک"})


def level_word(name: str) -> str:
    """Without case, accents and vowel signs, whatever the Unicode form; spaces where a capital begins a word."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if unicodedata.category(c)[0] != "M")
    return _CAPITAL_WITHIN.sub(" ", plain).casefold().translate(_BARE_LETTERS)


def _any_of(words: str) -> str:
    """A pattern for one of the words, the longest first."""
    return "|".join(sorted(level_word(words).replace("*", r"[^\W\d_]*").split(), key=len, reverse=True))


_FILLED = frozenset(level_word(_FILLERS).split()) | frozenset(_PARTICLES.split())
_AROUND = f"(?:{_any_of(_FILLERS)}){{0,4}}"  # dataset is data and set too: without a limit a long name takes ages
_GLUED = re.compile(
    f"{_AROUND}(?:" + "|".join(f"(?P<{split}>{_any_of(words)})" for split, words in _SPLITS.items()) + f"){_AROUND}"
)


_PERSON = frozenset(level_word(_PERSONS).split())


@lru_cache(maxsize=10_000)
def split_of(name: str) -> str | None:
    """train, val or test for a name that says nothing but that, whatever its case and what stands around; else None."""
    words = [word for word in _WORD.findall(level_word(name)) if word not in _FILLED]
    found = {match and match.lastgroup for match in map(_GLUED.fullmatch, words)}
    if len(found - {None}) < 2 and len(words) > 1 and (joined := _GLUED.fullmatch("".join(words))):
        return joined.lastgroup  # public test, huấn luyện
    return found.pop() if len(found) == 1 else None


def split_of_path(path: str) -> str:
    """The split that a folder of `path` is named after, the nearest first; '' where none is."""
    return next((split for part in reversed(path.split("/")[:-1]) if (split := split_of(part))), "")


def split_of_file(name: str) -> str:
    """The split that a folder of the file `name` is named after, or itself; '' where none is."""
    return split_of_path(name) or split_of(posixpath.splitext(posixpath.basename(name))[0]) or ""


def without_split(name: str) -> str:
    """`name` without the words for splits in it: happy of train_happy; as it is where there are none."""
    words = _WORD.findall(level_word(name))
    rest = [word for word in words if not split_of(word)]
    return " ".join(rest) if len(rest) < len(words) else name


def has_split_word(name: str) -> bool:
    """Whether a name begins or ends with a word for a split, beside what says nothing: trainA, fer_train_aug."""
    words = [word for word in _WORD.findall(level_word(name)) if word not in _FILLED]
    return bool(words) and (split_of(words[0]) or split_of(words[-1])) is not None


def is_wrapper(name: str) -> bool:
    """Whether the name of a folder says nothing about what is in it: images, Data, img_1."""
    words = _WORD.findall(level_word(name))
    return bool(words) and _WRAPPERS.issuperset(words)


def is_fold(name: str) -> bool:
    """Whether the name counts equal parts of the data, of which none is for testing: fold_1, batch 2, set3."""
    words = _WORD.findall(level_word(name))
    return bool(words) and all(word in _FOLDS or word in _FILLED for word in words)


@lru_cache(maxsize=10_000)
def names_person(name: str) -> bool:
    """Whether the name alone says that it is one person's (or a video's): person_Anna, subject 3, S005, 12."""
    words = _WORD.findall(level_word(name))
    has_number = any(map(str.isdecimal, name))
    return has_person_word(name) or (has_number and all(len(word) <= 2 for word in words) and not split_of(name))


@lru_cache(maxsize=10_000)
def has_person_word(name: str) -> bool:
    """Whether a word for a person or a video is in the name, and something more: person_Anna, video 07."""
    words = _WORD.findall(level_word(name))
    return not _PERSON.isdisjoint(words) and (len(words) > 1 or any(map(str.isdecimal, name)))
