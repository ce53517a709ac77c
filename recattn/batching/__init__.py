"""From carriers to tensors."""

from recattn.batching.assemble import Assembler, as_tensors
from recattn.batching.batch import FeatureBatch, HistoryBatch, RequestBatch, TruthBatch, WindowBatch
from recattn.batching.loaders import TruthBatches, WindowBatches, bucketed_batches, whole_batches

__all__ = [
    "Assembler",
    "FeatureBatch",
    "HistoryBatch",
    "RequestBatch",
    "TruthBatch",
    "TruthBatches",
    "WindowBatch",
    "WindowBatches",
    "as_tensors",
    "bucketed_batches",
    "whole_batches",
]
