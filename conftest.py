"""Loads semfit before pytest meets its tests, and puts the longest files first.

The tests of semfit stand in semfit/tests, so that pytest would make a module `semfit` of that folder if there were none yet.
"""

import semfit  # noqa: F401

LONGEST = (
    "test_student.py",
    "test_notebooks.py",
    "test_stranger.py",
    "test_data_alone.py",
    "test_new.py",
)


def pytest_collection_modifyitems(items):
    """Files that run notebooks come first, so that no process waits for the last of them."""
    place = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))
