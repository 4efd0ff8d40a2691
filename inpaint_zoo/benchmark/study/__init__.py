"""Blind user studies of a run's results: the page that raters see, and the scores from their answers."""

from inpaint_zoo.benchmark.study.build import Built, StudyOptions, build_study
from inpaint_zoo.benchmark.study.scores import Scored, score_study

__all__ = ["Built", "Scored", "StudyOptions", "build_study", "score_study"]
