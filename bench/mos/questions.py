"""What raters are asked: the dimensions and 1-5 anchors of the ViSAudio paper (arXiv:2512.03036, Figs. R4 and R5).

The questions and anchors are the protocol itself and are quoted; a study that words them otherwise is another study.
"""

from __future__ import annotations

from typing import NamedTuple


class Dimension(NamedTuple):
    """One thing that is rated: key used in files, title, the question, an example, what 1 to 5 mean."""

    key: str
    title: str
    question: str
    example: str
    anchors: tuple[str, ...]


DIMENSIONS = (
    Dimension(
        "SI",
        "Spatial Impression",
        "Whether the audio conveys a clear sense of spatiality, including left–right and depth cues.",
        "You can tell whether a sound source is to your left or right, or how far away it is.",
        (
            "Almost no spatial cues; flat or single-point sound.",
            "Weak spatiality; unclear direction or depth.",
            "Some spatial cues present but overall weak or shallow.",
            "Clear direction and depth with minor imperfections.",
            "Strong, immersive spatiality close to real experience.",
        ),
    ),
    Dimension(
        "SC",
        "Spatial Consistency",
        "How well the audio aligns with the visual spatial cues, ensuring correct correspondence in 3D space.",
        "A guitar on the left side of the screen is heard mainly from the left.",
        (
            "Completely inconsistent with the video's spatial scene.",
            "Very weak localization; large mismatch.",
            "Mostly reasonable but somewhat blurry.",
            "Accurate localization and generally correct alignment.",
            "Highly consistent and precisely matched.",
        ),
    ),
    Dimension(
        "TA",
        "Temporal Alignment",
        "Synchronization between the audio and the video, especially matching the timing of visual events.",
        "The drum is heard at the moment the stick hits it.",
        (
            "Strong delays or advances; entirely unsynchronized.",
            "Noticeable misalignment affecting experience.",
            "Mostly aligned with minor offset.",
            "Good synchronization with only subtle differences.",
            "Perfectly synchronized with visual actions.",
        ),
    ),
    Dimension(
        "SA",
        "Semantic Alignment",
        "Correspondence between the generated spatial audio and the input modalities, "
        "including video and optional text.",
        "A barking dog sounds like a dog, not like a car.",
        (
            "Audio content completely mismatched to the scene.",
            "Major semantic deviations.",
            "Mostly correct but with small inconsistencies.",
            "Clear and generally accurate expression.",
            "Highly consistent and natural semantic alignment.",
        ),
    ),
    Dimension(
        "AR",
        "Audio Realism",
        "Naturalness, clarity, and realism of the generated audio, independent of the video content.",
        "With closed eyes it could be a recording.",
        (
            "Severe distortion, noise, or artifacts.",
            "Noticeable noise or synthetic artifacts.",
            "Acceptable quality with minor artifacts.",
            "Natural and smooth with small imperfections.",
            "Very clear, natural, and realistic.",
        ),
    ),
)
# The other designs ask one question each.
PREFERENCE = Dimension(
    "PREF",
    "Preference",
    "Which of the two sounds would you rather have for this video, all in all? "
    "Think of what is heard, when, and from where.",
    "One sound comes from where the dog is seen, the other from nowhere: you would rather have the first.",
    (),
)
AZIMUTH = Dimension(
    "AZ",
    "Where is the sound?",
    "Where does the main sound come from? Move the slider to where you hear it; straight ahead is the middle.",
    "A dog that you hear half way to the left is at 45° left.",
    (),
)
MATCHING = Dimension(
    "FIT",
    "Which sound belongs to the video?",
    "One of the two sounds was made for this video, the other for another one. Which one was made for this video? "
    "Think of what is heard, when, and from where. If you are not sure, guess.",
    "The dog that you see barks in one sound and not in the other: the first belongs to the video.",
    (),
)
# ITU-R BS.1534: the scale and its words.
QUALITY = Dimension(
    "BAQ",
    "Quality",
    "How good is each sound compared with the reference? One of them is the reference again: it has 100.",
    "0 to 20 is bad, to 40 poor, to 60 fair, to 80 good, to 100 excellent.",
    (),
)
KEYS = tuple(dimension.key for dimension in DIMENSIONS)
_ALL = (*DIMENSIONS, PREFERENCE, MATCHING, AZIMUTH, QUALITY)
TITLES = {dimension.key: dimension.title for dimension in _ALL}
QUESTIONS = {dimension.key: dimension.question for dimension in _ALL}
SCALE = (1, 5)
DESIGNS = {
    "rating": (DIMENSIONS, SCALE),
    "preference": ((PREFERENCE,), (-1, 1)),
    "matching": ((MATCHING,), (-1, 1)),
    "localisation": ((AZIMUTH,), (-90, 90)),
    "mushra": ((QUALITY,), (0, 100)),
}
TOGETHER = {"preference": 2, "matching": 2, "localisation": 1}  # samples of a question, where each is asked by itself
COMPARED = ("preference", "matching")  # one answer about two samples: which of them
DEVICES = ("over-ear headphones", "on-ear headphones", "in-ear headphones")
CHECK_OUTCOMES = ("pass", "fail", "none")

# Columns of responses.csv in the long form; the first five are required, a missing other one is empty.
REQUIRED = ("rater_id", "clip_id", "system", "dimension", "rating")
COLUMNS = (
    "study_id",
    "session_id",
    "rater_id",
    "group_id",
    "clip_id",
    "suite",
    "system",
    "slot",
    "group_order",
    "dimension",
    "rating",
    "role",
    "expected",
    "played_ratio",
    "n_plays",
    "rating_ms",
    "headphone_check",
    "lr_check",
    "listening_device",
    "timestamp_utc",
    "tool",
    "tool_version",
    "completion_check",
    "compared_with",
)
