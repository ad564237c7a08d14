"""What each system is told, suite by suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from visaudio_bench.baselines.published import worker_kit
from visaudio_bench.baselines.published.card import read_card
from visaudio_bench.baselines.published.options import choose
from visaudio_bench.baselines.published.prompts import Texts, texts
from visaudio_bench.errors import ClipError
from visaudio_bench.suites.clip import Clip

GENERAL = "Generate general audio for the video"
BIAUDIO = Clip("b", None, None, caption="a man plays the violin, people talk in the hall")
MUSIC = Clip("m", None, None, caption="acoustic guitar, violin")
FAIR_PLAY = Clip("f", None, None)
THOUGHT = Clip("t", None, None, caption="a dog", meta={"cot": "First a dog barks, then it runs."})


def told(system: str, clip: Clip, variant: str = "", argument: str | None = None) -> Texts:
    card = read_card(Path(worker_kit.__file__).parent / system)
    return texts(card, clip, choose(card, variant, argument).options)


@pytest.mark.parametrize("clip", [BIAUDIO, MUSIC, THOUGHT])
def test_systems_that_read_text_are_given_the_caption(clip: Clip) -> None:
    assert told("audiox", clip) == (clip.caption, None)
    assert told("mmaudio", clip) == (clip.caption, None)
    assert told("thinksound", clip) == (clip.caption, clip.caption)  # the chain of thought is open in the paper


@pytest.mark.parametrize("caption", [None, "", "  "])
def test_nobody_is_given_text_on_a_suite_without_captions(caption: str | None) -> None:
    clip = Clip("f", None, None, caption=caption)
    assert told("mmaudio", clip) == (None, None)
    assert told("thinksound", clip) == (None, None)
    assert told("audiox", clip) == (GENERAL, None)  # what its authors say where they have nothing to say


@pytest.mark.parametrize("clip", [BIAUDIO, MUSIC, FAIR_PLAY])
def test_systems_without_text_stay_without(clip: Clip) -> None:
    assert told("visage", clip) == (None, None)
    assert told("see2sound", clip) == (None, None)


def test_see2sound_reads_text_when_it_is_asked_for() -> None:
    assert told("see2sound", MUSIC, "text") == (MUSIC.caption, None)
    assert told("see2sound", MUSIC, argument="text=caption") == (MUSIC.caption, None)
    assert told("see2sound", FAIR_PLAY, "text") == (None, None)


def test_another_prompt_takes_the_place_of_the_general_one() -> None:
    assert told("audiox", FAIR_PLAY, argument="prompt_without_caption=Generate music for the video").caption == (
        "Generate music for the video"
    )


def test_a_chain_of_thought_is_taken_where_it_is_asked_for_and_there() -> None:
    assert told("thinksound", THOUGHT, "cot") == ("a dog", "First a dog barks, then it runs.")
    with pytest.raises(ClipError, match="clip b has no chain of thought") as caught:
        told("thinksound", BIAUDIO, "cot")
    assert caught.value.reason == "no_cot"


@pytest.mark.parametrize("word", ["NA", "None", "null", "nan"])
def test_words_that_tables_take_for_nothing_are_told_as_they_are(word: str) -> None:
    clip: Any = Clip("w", None, None, caption=word)
    assert told("thinksound", clip) == (word, word)
