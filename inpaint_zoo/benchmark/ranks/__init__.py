"""Many processes and machines: the samples of every cell are shared by the ranks of one run."""

from inpaint_zoo.benchmark.ranks.follow import follow
from inpaint_zoo.benchmark.ranks.group import LostRankError, ManyRanks, Ranks
from inpaint_zoo.benchmark.ranks.join import find_launcher, join_ranks

__all__ = ["LostRankError", "ManyRanks", "Ranks", "find_launcher", "follow", "join_ranks"]
