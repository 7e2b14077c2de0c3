"""Description of HAT's Transformers, of which ten averages over layers are known and no kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwbench.spaces import hat
from hwbench.transfer.few_shot.description import View

Floats = NDArray[np.float64]


class TransformerDescription:
    regimes = (1.0,)
    kernels = None

    def views(self, architectures: ArrayLike) -> tuple[View]:
        found = hat.encode(architectures)
        columns = dict(zip(hat.FEATURES, found.T, strict=True))
        layers = [columns["encoder_layer_num"], columns["decoder_layer_num"]]
        totals = []
        for side, depth in zip(("encoder", "decoder"), layers, strict=True):
            width = columns[f"{side}_embed_dim"]
            heads = columns[f"{side}_self_attention_heads_avg"]
            totals += [depth * width, depth * width**2, depth * width * columns[f"{side}_ffn_embed_dim_avg"]]
            totals += [depth * width * heads, depth * heads]
        attention = columns["decoder_ende_attention_heads_avg"]
        totals += [layers[1] * columns["decoder_embed_dim"] * attention]
        totals += [layers[1] * columns["decoder_arbitrary_ende_attn_avg"]]
        return (View(found, np.stack(layers, axis=1), np.stack(totals, axis=1)),)

    def sums(self, values: Floats, architectures: ArrayLike) -> tuple[Floats]:
        raise NotImplementedError("HAT's networks have no known parts")
