"""Loads semfit before pytest meets its tests.

They stand in semfit/tests, so that pytest would make a module `semfit` of that folder if there were none yet.
"""

import semfit  # noqa: F401
