"""Real data: which sets there are, fetching them once, and reading them only if every byte is as it should be."""

from wellbegun.lab.data.archive import Archive
from wellbegun.lab.data.cache import cache_folder
from wellbegun.lab.data.catalogue import SETS, find_set
from wellbegun.lab.data.data_set import DataSet, check_digest
from wellbegun.lab.data.fetch import fetch_set

__all__ = ["SETS", "Archive", "DataSet", "cache_folder", "check_digest", "fetch_set", "find_set"]
