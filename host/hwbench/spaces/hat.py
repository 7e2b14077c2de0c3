"""The Transformer space of HAT (Wang et al., ACL 2020) as ten numbers: what its latency predictor reads.

Only the encoding is here: averages over layers do not say which network they belong to, so nothing can be built.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.errors import DataError

NAME = "hat"
FEATURES = (
    "encoder_embed_dim",
    "encoder_layer_num",
    "encoder_ffn_embed_dim_avg",
    "encoder_self_attention_heads_avg",
    "decoder_embed_dim",
    "decoder_layer_num",
    "decoder_ffn_embed_dim_avg",
    "decoder_self_attention_heads_avg",
    "decoder_ende_attention_heads_avg",
    "decoder_arbitrary_ende_attn_avg",
)
_SCALES = np.array([640.0, 6.0, 2048.0, 6.0, 640.0, 6.0, 2048.0, 6.0, 6.0, 2.0])


def check(features: ArrayLike) -> NDArray[np.float64]:
    """Features as float (n, 10). Raises DataError unless all are positive and finite."""
    array = np.atleast_2d(np.asarray(features, float))
    if array.ndim != 2 or array.shape[1] != len(FEATURES):
        raise DataError(f"An architecture of HAT has {len(FEATURES)} features, not {array.shape[-1]}.")
    wrong = np.argwhere(~(np.isfinite(array) & (array > 0)))
    if len(wrong):
        row, column = (int(n) for n in wrong[0])
        raise DataError(f"Architecture {row} of HAT has {FEATURES[column]} {array[row, column]}.")
    return array


def encode(features: ArrayLike) -> NDArray[np.float64]:
    """Features divided by the paper's constants, shape (n, 10): about 1 each."""
    scaled: NDArray[np.float64] = check(features) / _SCALES
    return scaled
