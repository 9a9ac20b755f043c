"""Makes a reconstructed wave: respondents that meet every published number, in a believable export.

assumptions  what is not published is read from a file, with the reason for each value
model        continuous scores follow the planted structural model
answers      cutting them, by rank, into exactly as many answers of each code as was published keeps
             that structure and meets the numbers
respondents  who the respondents are, and which of their answers are missing
export       what cleaning has to find is added (tests, duplicates, slips ...) and the file written

The same seed gives the same bytes.
"""

from mkb21.reconstruct.assumptions import Assumptions, load_assumptions, planted, planted_paths
from mkb21.reconstruct.export import write
from mkb21.reconstruct.respondents import Sample, simulate

__all__ = [
    "Assumptions",
    "Sample",
    "load_assumptions",
    "planted",
    "planted_paths",
    "simulate",
    "write",
]
