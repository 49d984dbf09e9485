"""Full-text search in many scripts, and the format of an archive."""

import doctest
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.multilingual_sentences import QUESTIONS, SENTENCES

from rankvideo_rag.errors import ArchiveMismatch
from rankvideo_rag.indexing.segment import segment
from rankvideo_rag.schema import FileOutcome, Probe, TextSpan, Video
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage import database, full_text
from rankvideo_rag.storage.full_text import match_expression, normalize
from rankvideo_rag.storage.index_config import IndexConfig
from rankvideo_rag.storage.store import KnownFile, Store
from rankvideo_rag.storage.writer import open_writer
from rankvideo_rag.testing.scripted_embedder import ScriptedEmbedder
from rankvideo_rag.text import tokenize

ALL_SENTENCES = [sentence for sentences in SENTENCES.values() for sentence in sentences]


def config() -> IndexConfig:
    return IndexConfig.from_settings(Settings.load(ocr="none"), ScriptedEmbedder.info)


def video_of(number: int) -> Video:
    return Video(video_id=f"{number:032x}", path=f"/v/{number}.mp4", title=str(number), probe=Probe(duration=10.0))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One video with one clip for each sentence."""
    store = Store.create(tmp_path_factory.mktemp("languages") / "archive", config().model_dump(mode="json"))
    with open_writer(store) as writer:
        for number, sentence in enumerate(ALL_SENTENCES):
            video = video_of(number)
            outcome = FileOutcome(path=video.path, outcome="ok", clips=1, video_id=video.video_id)
            span = TextSpan(channel="speech", text=sentence, start=1.0, end=5.0, source="test")
            clips = segment(video.video_id, 10.0, clip_seconds=30.0)
            writer.put_video(video, clips, [span], {}, file=KnownFile(1, 1, config().fingerprint, outcome))
    yield store
    store.close()


@pytest.mark.parametrize("said", ["", "On and on a voice talks of the weather, and of anything but what the sign shows."])
def test_speech_does_not_change_how_well_on_screen_text_matches(tmp_path: Path, said: str) -> None:
    store = Store.create(tmp_path / "archive", config().model_dump(mode="json"))
    with closing(store), open_writer(store) as writer:
        for number, sign in enumerate(["Penrow Street 61", "Mill Lane 4", "Winter fair"]):
            video = video_of(number)
            texts = {"on_screen": sign} | ({"speech": said} if said and number == 0 else {})
            spans = [TextSpan(channel=channel, text=text, start=1.0, end=5.0, source="test") for channel, text in texts.items()]
            outcome = FileOutcome(path=video.path, outcome="ok", clips=1, video_id=video.video_id)
            file = KnownFile(1, 1, config().fingerprint, outcome)
            writer.put_video(video, segment(video.video_id, 10.0, clip_seconds=30.0), spans, {}, file=file)
        # BM25 by hand, k1 = 1.2, b = .75: of 3 signs one has the word; it has 3 words, all have 8.
        expected = math.log((3 - 1 + 0.5) / (1 + 0.5)) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 3 / (8 / 3)))
        assert list(store.search_text("on_screen", "Penrow", depth=5).values()) == [pytest.approx(expected)]


def found(store: Store, question: str) -> list[str]:
    passages = store.passages(numbers := store.search_text("speech", question, depth=5))
    return [ALL_SENTENCES[int(passages[number].video_id, 16)] for number in numbers]


@pytest.mark.parametrize(("language", "question", "sentence"), QUESTIONS)
def test_a_question_ranks_its_sentence_first(archive: Store, language: str, question: str, sentence: int) -> None:
    assert found(archive, question)[:1] == [SENTENCES[language][sentence]]


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("ガギグ", "ｶﾞｷﾞｸﾞ"),
        ("e\u0301te\u0301", "été"),
        ("STRASSE", "straße"),
        ("İSTANBUL", "istanbul"),
        ("الْعَرَبِيَّةُ", "العربيه"),
        ("إِسْلَام", "اسلام"),
        ("كـــتاب", "كتاب"),
        ("٢٠٢٤", "2024"),
        ("२०२४", "2024"),
        ("שָׁלוֹם", "שלום"),
        ("ＮＨＫニュース", "nhk"),
        ("น้ำ", "น\u0e49ํา"),
        ("snake_case", "case"),
        ("x\u00adylo\u200bphone", "xylophone"),
    ],
)
def test_spellings_of_the_same_word_match(written: str, asked: str) -> None:
    assert _matches(written, asked)


@pytest.mark.parametrize(("written", "asked"), [("大学", "学大"), ("北京大学", "京学"), ("กา", "มา"), ("하늘", "늘하")])
def test_characters_that_are_not_adjacent_do_not_match(written: str, asked: str) -> None:
    assert not _matches(written, asked)


def _matches(written: str, asked: str) -> bool:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(";".join(database.CREATE_TEXT_TABLES))
        connection.execute("INSERT INTO passages_speech (text) VALUES (?)", (normalize(written),))
        found = connection.execute(
            "SELECT count(*) FROM passages_speech WHERE passages_speech MATCH ?", (match_expression(asked),)
        )
        return bool(found.fetchone()[0])


@pytest.mark.parametrize(
    "text",
    [*ALL_SENTENCES, "Ｃａｆｅ\u0301 ½ kg 三〇 №5 x²", "𠮷野家 𝔘𝔫𝔦 ǅ ﬁn", "ᠮᠣᠩᠭᠣᠯ ⰀⰁⰂ 𞤀𞤁 ߒߓ ᏣᎳᎩ", "\ue000 a\u0301\u0327b"],
)
def test_the_index_has_exactly_the_tokens_of_the_text(text: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f'CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = "{full_text.TOKENIZER}")')
        connection.execute("CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, instance)")
        connection.execute("INSERT INTO words VALUES (?)", (normalize(text),))
        indexed = connection.execute('SELECT term FROM vocabulary ORDER BY "offset"').fetchall()
    assert [term for (term,) in indexed] == [token.term for token in tokenize(text)]


@pytest.mark.parametrize("question", ["ـ", "?!", "", "🦊"])
def test_a_question_without_terms_finds_nothing(archive: Store, question: str) -> None:
    assert archive.search_text("speech", question, depth=5) == {}


@pytest.mark.parametrize(
    "question", ["望" * 2_000, "กา" * 1_000, "a" * 2_000, 'a" OR NEAR(b) * : ^ ' * 80, "भ" * 500, "x\ud800y\x00z"]
)
def test_any_question_is_accepted(archive: Store, question: str) -> None:
    assert len(archive.search_text("speech", question, depth=5)) <= 5


def test_english_is_ranked_as_by_the_default_tokenizer(archive: Store) -> None:
    """Porter stemming over unicode61 without our normalisation gives the same English ranking."""
    old = sqlite3.connect(":memory:")
    old.execute("CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'porter unicode61 remove_diacritics 2')")
    new = sqlite3.connect(":memory:")
    new.execute('CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = "' + full_text.TOKENIZER + '")')
    for sentence in SENTENCES["English"]:
        old.execute("INSERT INTO words VALUES (?)", (sentence,))
        new.execute("INSERT INTO words VALUES (?)", (normalize(sentence),))
    ranked = "SELECT rowid, bm25(words) FROM words WHERE words MATCH ? ORDER BY 2, 1"
    for _, question, _ in (q for q in QUESTIONS if q[0] == "English"):
        before, after = (connection.execute(ranked, (match_expression(question),)).fetchall() for connection in (old, new))
        assert [row for row, _ in after] == [row for row, _ in before]
        assert [score for _, score in after] == pytest.approx([score for _, score in before])


def test_docstring_examples() -> None:
    result = doctest.testmod(full_text)
    assert (result.attempted, result.failed) == (3, 0)


def test_an_archive_of_another_format_is_refused(tmp_path: Path) -> None:
    Store.create(tmp_path, config().model_dump(mode="json")).close()
    for version in ("0", "3"):
        with closing(sqlite3.connect(tmp_path / "archive.db")) as connection, connection:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (version,))
        with pytest.raises(ArchiveMismatch, match=rf"has format {version}, .* reads format 2\. Index the videos again"):
            Store.open(tmp_path)
