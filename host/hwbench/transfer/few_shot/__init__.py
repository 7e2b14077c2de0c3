"""The default predictor of a new target: ten measurements on it, many on others, no training run."""

from __future__ import annotations

from hwbench.transfer.few_shot.picks import next_picks
from hwbench.transfer.few_shot.predictor import FewShotPredictor, fit
from hwbench.transfer.few_shot.prior import Prior, prior_of
from hwbench.transfer.few_shot.stopping import Outlook, enough, outlook

__all__ = ["FewShotPredictor", "Outlook", "Prior", "enough", "fit", "next_picks", "outlook", "prior_of"]
