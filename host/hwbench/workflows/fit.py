"""A block table from whole-network latencies, and how well it predicts networks that had no part in it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench import files, spaces
from hwbench.errors import DataError, UsageError
from hwbench.measure.statistics import Floats, spearman
from hwbench.spaces.encodings import block_counts, block_features
from hwbench.tables import imported, opening
from hwbench.tables.imported import ImportedRow, ImportedTable, ImportRecord
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer.block_fit import FEWEST, BlockFit, fit_blocks

_FOLDS = 5


class HeldOut(msgspec.Struct, frozen=True):
    """Predicted / measured - 1 of networks that had no part in the fit: mean, mean size, root mean square."""

    networks: int
    bias: float
    mape: float
    rms: float
    spearman: float


class FitResult(msgspec.Struct, frozen=True):
    """`prior` is the error of the blocks' features alone, over the same networks as `held_out`."""

    table: ImportedTable
    path: Path
    networks: int
    penalty_weight: float
    freedom: float
    held_out: HeldOut
    prior: HeldOut


def fit(
    matrix: Path, output: Path, *, target: str | None = None, networks: int | None = None, seed: int = 0,
    overwrite: bool = False,
) -> FitResult:  # fmt: skip
    """Fits a latency to every block of the matrix's space, and writes them as a table.

    With `networks` so many random architectures are fitted and the rest held out; else all of them are, and the error
    is that of five-fold cross-validation. Raises DataError for a matrix that cannot be used, UsageError when the output
    is in the way or the target is not named.
    """
    if output.exists() and not overwrite:
        raise UsageError(f"{output} exists already.", hint="Add --overwrite, or choose another file with --output.")
    content = opening.load(matrix)
    if not isinstance(content, LatencyMatrix):
        raise DataError(f"{matrix} is no matrix of whole architectures, to which blocks could be fitted.")
    if content.metric != "latency_us":
        raise DataError(f"{matrix} holds {content.metric}, not latencies.")
    chosen = _target(content, target)
    space = spaces.get(content.space)
    latencies = content.column(chosen)
    known = np.random.default_rng(seed).permutation(np.flatnonzero(np.isfinite(latencies)))
    if len(known) < 2 * FEWEST or (networks is not None and not FEWEST <= networks <= len(known) - FEWEST):
        raise DataError(
            f"{chosen} has {len(known)} latencies in {matrix}, too few to fit {networks or 'them'} and check the fit.",
            hint=f"At least {FEWEST} are needed for each.",
        )
    counts = block_counts(space, content.encoded[known].astype(np.int64))
    features = np.stack([block_features(block) for block in space.distinct_blocks])
    latencies = latencies[known]
    training = len(known) if networks is None else networks
    found = fit_blocks(counts[:training], features, latencies[:training])
    if networks is None:
        predicted, prior = _cross_validated(counts, features, latencies)
    else:
        held = slice(training, None)
        counts_held, latencies = counts[held], latencies[held]
        predicted, prior = counts_held @ found.latency_us, counts_held @ found.prior_us
    error = held_out(predicted, latencies)
    keys = [block.key for block in space.distinct_blocks]
    table = _table(content, matrix, chosen, keys, found, counts[:training], error)
    imported.save(table, output)
    return FitResult(table, output, training, found.penalty_weight, found.freedom, error, held_out(prior, latencies))


def held_out(predicted_us: Floats, measured_us: Floats) -> HeldOut:
    """The error of predictions, both of shape (n,)."""
    error = predicted_us / measured_us - 1
    return HeldOut(
        networks=len(error),
        bias=float(error.mean()),
        mape=float(np.abs(error).mean()),
        rms=float(np.sqrt(np.mean(error**2))),
        spearman=spearman(predicted_us, measured_us),
    )


def _cross_validated(counts: Floats, features: Floats, latencies: Floats) -> tuple[Floats, Floats]:
    """Each network predicted by blocks, and by features, fitted to the other folds."""
    predicted, prior = np.empty_like(latencies), np.empty_like(latencies)
    folds: NDArray[np.int64] = np.arange(len(latencies)) % _FOLDS
    for fold in range(_FOLDS):
        out = folds == fold
        found = fit_blocks(counts[~out], features, latencies[~out])
        predicted[out], prior[out] = counts[out] @ found.latency_us, counts[out] @ found.prior_us
    return predicted, prior


def _target(matrix: LatencyMatrix, wanted: str | None) -> str:
    if wanted is None and len(matrix.targets) != 1:
        raise UsageError(f"The matrix has {len(matrix.targets)} targets.", hint="Name one with --target.")
    return wanted or matrix.targets[0]


def _table(
    matrix: LatencyMatrix, path: Path, target: str, keys: list[str], found: BlockFit, counts: Floats, error: HeldOut
) -> ImportedTable:
    rows = tuple(
        ImportedRow(key, float(value), float(spread), int(count))
        for key, value, spread, count in zip(
            keys, found.latency_us, found.spread_us, (counts > 0).sum(axis=0), strict=True
        )
    )
    origin = matrix.records[0] if len({one.source for one in matrix.records}) == 1 else None
    record = ImportRecord(
        format="fit", file=path.name, sha256=files.sha256(files.read(path)), unit="us", metric="latency_us",
        licence=origin.licence if origin else None, source=origin.source if origin else None,
        rows_read=len(counts), refused_count=0, refused=(),
        notes=(f"fitted to {len(counts)} networks; {error.networks} held-out ones: MAPE {error.mape:.1%}, "
               f"Spearman {error.spearman:.3f}",),
    )  # fmt: skip
    return ImportedTable(matrix.space, "latency_us", target, "block", rows, record, sum_error=error.rms)
