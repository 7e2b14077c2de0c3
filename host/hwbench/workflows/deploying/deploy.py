"""Deploy a trained network: export it with its weights, try its answers on the device, time it beside a prediction."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from hwbench import files
from hwbench.devices import Device, LocalDevice
from hwbench.errors import ModelError, UsageError
from hwbench.measure.campaign import ModelRow, Progress
from hwbench.measure.evaluation import Engaged, Given, Outputs, evaluate
from hwbench.measure.session import Session, in_the_way
from hwbench.models.formats import FORMATS, Authored, ModelJob
from hwbench.models.inputs import input_bytes
from hwbench.records import Measurement
from hwbench.search import data
from hwbench.search.data import Dataset
from hwbench.tables.source import LatencySource
from hwbench.workflows.deploying.deployable import TrainedNetwork, Trial, load_trained, trial_of
from hwbench.workflows.deploying.deployed import DeployedModel, Deployment, answers, held, host_answers, save
from hwbench.workflows.deploying.plan import Form, Planned, plan_forms
from hwbench.workflows.model_rows import exporting, memory_bytes
from hwbench.workflows.networks import Bench, measure_rows
from hwbench.workflows.settings import MeasureOptions

DEFAULT_FOLDER = Path("hwbench-results") / "deployed"
REPORT = "deployment.json"
CALIBRATION_IMAGES = 200

_SESSION = "session"
_ROW = "network"
_INPUTS = "models/inputs.bin"
# Enough to see the whole output of a small classifier, and the best guesses of a large one.
_TOP = 16


class _Exported(msgspec.Struct, frozen=True):
    planned: Planned
    path: Path
    authored: Authored


def deploy(
    weights: Path,
    dataset: Dataset | Path | None = None,
    *,
    forms: Sequence[Form] = (),
    tables: Sequence[Path] = (),
    predictor: LatencySource | None = None,
    device: Device | None = None,
    options: MeasureOptions | None = None,
    preset: str | None = None,
    test_images: int | None = None,
    calibration_images: int = CALIBRATION_IMAGES,
    output: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Deployment:
    """Writes the network of a weights file as a model file of each form, and tries each on the device.

    `dataset` is one, or the path of one; none: Fashion-MNIST. Each file is run on `test_images` of its test images
    (None: all), timed, and compared with PyTorch; on another device than this computer also with its own run here. int8
    is calibrated with training images. `tables` are files of tables and predictors: one that was measured predicts the
    form of its target, which the device must be; one that names no target, or a source given as `predictor`, predicts
    the only form. `forms` are by default those of the tables, else LiteRT's fp32 and int8. `options` hold for forms
    that nothing measured predicts; `preset` for all.

    The files, and `deployment.json` with what was found, lie in `output`, by default in
    hwbench-results/deployed/<name of the weights>; a session folder there keeps what was measured until all is done.
    Raises DataError, CorruptFile or ModelError for weights and images that do not fit, Incomparable for tables of
    another space or target, MissingRows, UsageError, DeviceError and RunnerError.
    """
    begin = time.monotonic()
    folder = output or default_folder(weights)
    session = _session_folder(folder, resume, overwrite)
    trained = load_trained(weights)
    images = _images(dataset, trained)
    device = device or LocalDevice()
    planned = plan_forms(trained, forms, tables, predictor, device, options or MeasureOptions(cache="warm"), preset)
    trial = trial_of(trained, images, test_images, calibration_images)
    exported = [_export(one, trained, trial, folder, on_progress) for one in planned]
    with device.lock():
        models = tuple(_try(one, trained, trial, session, resume, on_progress) for one in exported)
    found = Deployment(
        weights=str(weights),
        weights_sha256=trained.sha256,
        space=trained.space.name,
        architecture=tuple(trained.architecture.tolist()),
        labels=trained.space.describe(trained.architecture),
        dataset=images.name,
        calibration_images=len(trial.calibration),
        device=planned[0].bench.record,
        models=models,
        seconds=time.monotonic() - begin,
        notes=device.notes,
    )
    save(found, folder / REPORT)
    shutil.rmtree(session, ignore_errors=True)
    return found


def default_folder(weights: Path) -> Path:
    """Where the files of these weights go unless another folder is named."""
    return DEFAULT_FOLDER / weights.stem


def _images(dataset: Dataset | Path | None, trained: TrainedNetwork) -> Dataset:
    """The data set. Raises DataError when the network does not take its images."""
    if dataset is None:
        dataset = data.find_fashion_mnist()
    elif isinstance(dataset, Path):
        height, _, channels = trained.network[0].block.in_shape
        dataset = data.load(dataset, height, channels)
    for images in (dataset.train, dataset.test):
        data.check_fits(trained.network, images, dataset.name)
    return dataset


def _session_folder(folder: Path, resume: bool, overwrite: bool) -> Path:
    """Where what is measured lies until all is done. Raises UsageError when something would be overwritten."""
    session = folder / _SESSION
    if resume and not session.exists() and (folder / REPORT).exists():
        raise UsageError(f"There is nothing to resume in {folder}.", hint="Add --overwrite to begin anew.")
    if resume:
        return session
    if overwrite:
        shutil.rmtree(session, ignore_errors=True)
    if session.exists():
        raise in_the_way(session)
    if (folder / REPORT).exists() and not overwrite:
        raise UsageError(
            f"{folder / REPORT} exists already.", hint="Add --overwrite, or choose another folder with --output."
        )
    return session


def _export(
    planned: Planned, trained: TrainedNetwork, trial: Trial, folder: Path, on_progress: Callable[[Progress], None]
) -> _Exported:
    """The network as a file of the folder. Raises ModelError when it cannot be written as one."""
    form, options = planned.form, planned.bench.options
    known = FORMATS[form.engine]
    job = ModelJob(str(trained.path), trained.network, trained.weights, trial.calibration)
    (authored,) = known.author(
        [job], form.precision, options.delegate, files.cache_folder() / "exports", exporting(on_progress)
    )
    path = folder / f"{trained.path.stem}-{form.precision}{known.suffix}"
    files.write_atomically(path, authored.data)
    return _Exported(planned, path, authored)


def _try(
    exported: _Exported,
    trained: TrainedNetwork,
    trial: Trial,
    sessions: Path,
    resume: bool,
    on_progress: Callable[[Progress], None],
) -> DeployedModel:
    """A file timed and evaluated on its device, which must be locked."""
    form, bench, authored = exported.planned.form, exported.planned.bench, exported.authored
    source = None if authored.integers is None else authored.integers.source
    target = None if authored.integers is None else authored.integers.target
    inputs = input_bytes(trial.inputs, source, bench.options.delegate)
    given = Given(
        model=f"models/{_ROW}{exported.path.suffix}",
        model_sha256=files.sha256(authored.data),
        inputs=_INPUTS,
        inputs_sha256=files.sha256(inputs),
        count=len(trial.labels),
        outputs=trial.scores.shape[1],
        top=_TOP,
    )
    session = Session.open(sessions / f"{form.engine}-{form.precision}", _decisive(bench, trained, given), resume)
    files.write_atomically(session.folder / given.model, authored.data)
    files.write_atomically(session.folder / given.inputs, inputs)
    latency = _timed(exported, trained, given, session, on_progress)

    def run_on(device: Device, cores: tuple[int, ...], name: str) -> Outputs:
        options = bench.options
        engaged = Engaged(form.engine, options.delegate, options.threads, cores, latency.value_us)
        return evaluate(device, given, engaged, session.folder, name, on_progress)

    outputs = run_on(bench.device, bench.options.cores, "evaluate")
    here = bench.device.name == LocalDevice.name
    return DeployedModel(
        path=str(exported.path),
        sha256=given.model_sha256,
        bytes=len(authored.data),
        engine=form.engine,
        precision=form.precision,
        target=bench.target,
        delegated_share=authored.delegated_share,
        latency=latency,
        predicted=exported.planned.predicted,
        held=held(latency, exported.planned.predicted),
        answers=answers(outputs, target, trial.scores, trial.labels, form.precision),
        host=None if here else host_answers(outputs, run_on(LocalDevice(), (), "host"), form.precision),
    )


def _timed(
    exported: _Exported,
    trained: TrainedNetwork,
    given: Given,
    session: Session,
    on_progress: Callable[[Progress], None],
) -> Measurement:
    """The latency of a file that lies in the session's folder. Raises ModelError when it does not run."""
    size, share = len(exported.authored.data), exported.authored.delegated_share
    row = ModelRow(_ROW, given.model, given.model_sha256, memory_bytes(trained.network, size), delegated_share=share)
    bench = exported.planned.bench
    campaign = measure_rows(bench, [row], session, on_progress)
    if _ROW not in campaign.estimates.measurements:
        reason = campaign.samples.failures.get(_ROW, "it gave no result")
        raise ModelError(f"{exported.path} does not run on {bench.device.name}: {reason}.")
    return campaign.estimates.measurements[_ROW]


def _decisive(bench: Bench, trained: TrainedNetwork, given: Given) -> dict[str, str]:
    """Everything that must agree for a run to be continued, in words."""
    return {
        "weights": trained.sha256,
        "model": given.model_sha256,
        "test images": given.inputs_sha256,
        "device": bench.target.device_id,
        "phone": str(bench.record.phone.serial_hash) if bench.record.phone else "none",
        "engine library": f"{bench.target.engine.package} {bench.target.engine.version}",
        "runner": bench.target.runner,
        "preset": bench.options.preset,
        "cores": bench.target.cores,
    }
