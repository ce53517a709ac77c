"""From requests to a few hundred candidates, and from scored candidates to the list that is shown."""

from recattn.candidates.base import CandidateFilter, CandidateGenerator, PostProcessor
from recattn.candidates.caps import Cap, cap
from recattn.candidates.diversity import Mmr, mmr
from recattn.candidates.filters import filtered
from recattn.candidates.frames import with_rank
from recattn.candidates.given import FromFrame
from recattn.candidates.job import two_stage
from recattn.candidates.lists import Allow, Deny
from recattn.candidates.policies import Availability, Seen
from recattn.candidates.popular import Popular
from recattn.candidates.recommended import Neighbors, Recommended
from recattn.candidates.retrieval import Retrieval
from recattn.candidates.similarity import ItemVectors
from recattn.candidates.stages import TwoStage
from recattn.candidates.union import Union

__all__ = [
    "Allow",
    "Availability",
    "CandidateFilter",
    "CandidateGenerator",
    "Cap",
    "Deny",
    "FromFrame",
    "ItemVectors",
    "Mmr",
    "Neighbors",
    "Popular",
    "PostProcessor",
    "Recommended",
    "Retrieval",
    "Seen",
    "TwoStage",
    "Union",
    "cap",
    "filtered",
    "mmr",
    "two_stage",
    "with_rank",
]
