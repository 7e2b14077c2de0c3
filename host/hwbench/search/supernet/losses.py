"""Cross entropy and expected latency as one loss (search/nas_manager.py of the published code)."""

from __future__ import annotations

import math
import warnings

from torch import Tensor

from hwbench.search.supernet.settings import AddLinear, MulLog, NoLatency

PUBLISHED_REFERENCE_MS = 80.0


def combined(loss: AddLinear | MulLog | NoLatency, cross_entropy: Tensor, expected_us: Tensor) -> Tensor:
    """The loss of an architecture step; both arguments are scalars, the latency float64.

    `mul#log` takes the logarithm of 80 E / reference, which is clamped at e, with a warning: below, a power of the
    logarithm would turn into nothing and then into no number. A clamped latency has no gradient.
    """
    match loss:
        case AddLinear(weight=weight):
            reference_us = loss.known_reference_us
            return cross_entropy + weight * (expected_us - reference_us) / reference_us
        case MulLog(scale=scale, power=power):
            reference_us = loss.known_reference_us
            ratio = PUBLISHED_REFERENCE_MS * expected_us / reference_us
            if float(ratio.detach()) < math.e:
                warnings.warn(
                    f"The expected latency is below {math.e / PUBLISHED_REFERENCE_MS:.1%} of the reference "
                    f"of {reference_us:g} us: mul#log ignores it there. Choose a reference near the limit.",
                    stacklevel=2,
                )
            logarithm = ratio.clamp(min=math.e).log() / math.log(PUBLISHED_REFERENCE_MS)
            return scale * cross_entropy * logarithm**power
        case NoLatency():
            return cross_entropy
