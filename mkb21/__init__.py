"""The MKB21 monitor: social media in small and medium-sized enterprises.

Helpers that the notebooks share, one room per concern; see ``mkb21 --help`` for the commands.
"""

__version__ = "0.1.0"
