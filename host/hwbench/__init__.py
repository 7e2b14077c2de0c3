"""Latency of neural networks on real devices, and architecture search that respects it.

The public API; everything is loaded when it is first used, so that `import hwbench` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hwbench.errors import HwbenchError
    from hwbench.search.quantities import Latency, Limit
    from hwbench.tables.lookup import LookupTable
    from hwbench.tables.lookup import load as load_table
    from hwbench.tables.source import TableSource
    from hwbench.workflows.adapting.adapt import AdaptResult, adapt
    from hwbench.workflows.calibrate import calibrate
    from hwbench.workflows.comparing.choose import choose_proxy, cover_fleet, measure_target, telling_architectures
    from hwbench.workflows.comparing.compare import compare
    from hwbench.workflows.comparing.comparison import Comparison
    from hwbench.workflows.deploying.deploy import deploy
    from hwbench.workflows.deploying.deployed import Deployment
    from hwbench.workflows.deploying.plan import Form
    from hwbench.workflows.diff import diff
    from hwbench.workflows.fit import fit
    from hwbench.workflows.profile import ProfileResult, profile
    from hwbench.workflows.profile_models import ModelsResult, profile_models
    from hwbench.workflows.searching.search import SearchResult, find_architectures
    from hwbench.workflows.searching.supernet import SupernetQuestion, SupernetResult, search_supernet
    from hwbench.workflows.searching.tables import Question, search_tables
    from hwbench.workflows.settings import MeasureOptions
    from hwbench.workflows.sources import latency_source
    from hwbench.workflows.verify import Verification, verify

_HOMES = {
    "AdaptResult": ("hwbench.workflows.adapting.adapt", "AdaptResult"),
    "Comparison": ("hwbench.workflows.comparing.comparison", "Comparison"),
    "Deployment": ("hwbench.workflows.deploying.deployed", "Deployment"),
    "Form": ("hwbench.workflows.deploying.plan", "Form"),
    "HwbenchError": ("hwbench.errors", "HwbenchError"),
    "LookupTable": ("hwbench.tables.lookup", "LookupTable"),
    "MeasureOptions": ("hwbench.workflows.settings", "MeasureOptions"),
    "ModelsResult": ("hwbench.workflows.profile_models", "ModelsResult"),
    "Latency": ("hwbench.search.quantities", "Latency"),
    "Limit": ("hwbench.search.quantities", "Limit"),
    "ProfileResult": ("hwbench.workflows.profile", "ProfileResult"),
    "Question": ("hwbench.workflows.searching.tables", "Question"),
    "SearchResult": ("hwbench.workflows.searching.search", "SearchResult"),
    "SupernetQuestion": ("hwbench.workflows.searching.supernet", "SupernetQuestion"),
    "SupernetResult": ("hwbench.workflows.searching.supernet", "SupernetResult"),
    "TableSource": ("hwbench.tables.source", "TableSource"),
    "Verification": ("hwbench.workflows.verify", "Verification"),
    "adapt": ("hwbench.workflows.adapting.adapt", "adapt"),
    "calibrate": ("hwbench.workflows.calibrate", "calibrate"),
    "compare": ("hwbench.workflows.comparing.compare", "compare"),
    "choose_proxy": ("hwbench.workflows.comparing.choose", "choose_proxy"),
    "cover_fleet": ("hwbench.workflows.comparing.choose", "cover_fleet"),
    "deploy": ("hwbench.workflows.deploying.deploy", "deploy"),
    "diff": ("hwbench.workflows.diff", "diff"),
    "fit": ("hwbench.workflows.fit", "fit"),
    "find_architectures": ("hwbench.workflows.searching.search", "find_architectures"),
    "latency_source": ("hwbench.workflows.sources", "latency_source"),
    "load_table": ("hwbench.tables.lookup", "load"),
    "measure_target": ("hwbench.workflows.comparing.choose", "measure_target"),
    "profile": ("hwbench.workflows.profile", "profile"),
    "profile_models": ("hwbench.workflows.profile_models", "profile_models"),
    "search_supernet": ("hwbench.workflows.searching.supernet", "search_supernet"),
    "search_tables": ("hwbench.workflows.searching.tables", "search_tables"),
    "telling_architectures": ("hwbench.workflows.comparing.choose", "telling_architectures"),
    "verify": ("hwbench.workflows.verify", "verify"),
}

__all__ = [
    "AdaptResult",
    "Comparison",
    "Deployment",
    "Form",
    "HwbenchError",
    "Latency",
    "Limit",
    "LookupTable",
    "MeasureOptions",
    "ModelsResult",
    "ProfileResult",
    "Question",
    "SearchResult",
    "SupernetQuestion",
    "SupernetResult",
    "TableSource",
    "Verification",
    "adapt",
    "calibrate",
    "choose_proxy",
    "compare",
    "cover_fleet",
    "deploy",
    "diff",
    "find_architectures",
    "fit",
    "latency_source",
    "load_table",
    "measure_target",
    "profile",
    "profile_models",
    "search_supernet",
    "search_tables",
    "telling_architectures",
    "verify",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'hwbench' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)
