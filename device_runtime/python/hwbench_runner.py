#!/usr/bin/env python3
"""The Python runner: executes one plan and writes one result file, as PROTOCOL.md says.

One file on purpose: it is copied to boards that have Python 3.9+, numpy and one of `ai_edge_litert`,
`tflite_runtime` and `executorch`, and nothing else. It holds no statistics.

    python hwbench_runner.py plan.json results.jsonl
    python hwbench_runner.py --selftest [ENGINE...]
"""

import contextlib
import ctypes
import hashlib
import json
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

PROTOCOL = 2
RUNNER = "python-1"
EXIT_DONE, EXIT_BAD_PLAN, EXIT_NO_ENGINE, EXIT_DEADLINE, EXIT_OUTPUT = 0, 64, 65, 66, 67
DELEGATES = {"litert": ("xnnpack", "builtin"), "executorch": ("xnnpack", "portable")}
PASSES = ("time", "memory", "profile", "evaluate")
DIGEST_VALUES = 64
OUTPUT_SEED = 0x5EED
DEFAULT_SCALE = 1 / 32
REDONE = 3
MOST_TOP = 1024


class PlanError(Exception):
    """The plan cannot be executed; the message names the field."""


class Stop(Exception):
    """The launch ends early; the reason goes into the footer."""


# --- plan ---------------------------------------------------------------------------------------


def _field(source, name, kinds, where="plan"):
    if name not in source:
        raise PlanError(f"{where}.{name} is missing")
    value = source[name]
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise PlanError(f"{where}.{name} has the wrong type")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not 0 <= value < 2**63:
        raise PlanError(f"{where}.{name} is out of range")
    return value


def _one_of(plan, name, allowed):
    if _field(plan, name, str) not in allowed:
        raise PlanError(f"plan.{name} is none of {', '.join(allowed)}")


def read_plan(path):
    """The plan of a file as a checked dictionary. Raises PlanError."""
    try:
        plan = json.loads(Path(path).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise PlanError(f"the plan cannot be read: {error}") from error
    if not isinstance(plan, dict):
        raise PlanError("the plan is not an object")
    if plan.get("schema") != f"hwbench.plan/{PROTOCOL}":
        raise PlanError(f"plan.schema is not hwbench.plan/{PROTOCOL}")
    _one_of(plan, "engine", DELEGATES)
    _one_of(plan, "delegate", DELEGATES[plan["engine"]])
    _one_of(plan, "pass", PASSES)
    for name in (
        "launch",
        "seed",
        "input_seed",
        "flush_bytes",
        "interleave",
        "idle_us",
        "rewarm_us",
        "memory_budget_bytes",
        "parent_pid",
    ):
        _field(plan, name, int)
    if not 1 <= _field(plan, "threads", int) <= 1024:
        raise PlanError("plan.threads is out of range")
    if plan["flush_bytes"] > 1 << 30:
        raise PlanError("plan.flush_bytes is out of range")
    if plan["interleave"] < 1:
        raise PlanError("plan.interleave is out of range")
    _field(plan, "deadline_s", (int, float))
    cores = _field(plan, "cores", list)
    if not all(isinstance(core, int) and 0 <= core < 4096 for core in cores):
        raise PlanError("plan.cores is not a list of core numbers")
    burst = _field(plan, "burst", dict)
    for name in ("warmup_invokes", "warmup_us", "invokes", "duration_us", "max_invokes"):
        _field(burst, name, int, "plan.burst")
    if not 1 <= burst["invokes"] <= burst["max_invokes"] <= 10**6:
        raise PlanError("plan.burst.invokes or max_invokes is out of range")
    jobs = _field(plan, "jobs", list)
    if not jobs:
        raise PlanError("plan.jobs is empty")
    seen = set()
    for index, job in enumerate(jobs):
        where = f"plan.jobs[{index}]"
        if not isinstance(job, dict):
            raise PlanError(f"{where} is not an object")
        for name in ("id", "model", "sha256"):
            _field(job, name, str, where)
        if _field(job, "rounds", int, where) > 10**6:
            raise PlanError(f"{where}.rounds is out of range")
        _field(job, "anchor", bool, where)
        if job["id"] in seen:
            raise PlanError(f"{where}.id {job['id']!r} stands twice")
        seen.add(job["id"])
        _stays_inside(job, "model", where)
    if plan["pass"] == "evaluate":
        _check_evaluation(_field(plan, "evaluation", dict))
    return plan


def _stays_inside(source, name, where):
    parts = Path(source[name]).parts
    if not parts or Path(source[name]).is_absolute() or ".." in parts or "\0" in source[name]:
        raise PlanError(f"{where}.{name} leaves the plan's folder")


def _check_evaluation(evaluation):
    where = "plan.evaluation"
    for name in ("inputs", "sha256"):
        _field(evaluation, name, str, where)
    _stays_inside(evaluation, "inputs", where)
    for name in ("first", "count"):
        _field(evaluation, name, int, where)
    if not 1 <= _field(evaluation, "top", int, where) <= MOST_TOP:
        raise PlanError(f"{where}.top is out of range")


# --- results ------------------------------------------------------------------------------------


class Results:
    """Appends JSON lines, each flushed whole; `close` adds the footer that makes the file complete."""

    def __init__(self, path):
        self._file = open(path, "wb")
        self._hash = hashlib.sha256()
        self._lines = 0
        self.visits = 0

    def write(self, **line):
        data = json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        self._file.write(data)
        self._file.flush()
        self._hash.update(data)
        self._lines += 1
        self.visits += line["kind"] in ("visit", "output")

    def close(self, status):
        footer = {"kind": "footer", "status": status, "lines": self._lines, "sha256": self._hash.hexdigest()}
        self._file.write(json.dumps(footer, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


# --- inputs and digests -------------------------------------------------------------------------


def _splitmix64(np, counters):
    mixed = counters * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def seeded_normal(np, count, seed):
    """`count` nearly normal numbers (the sum of eight random bytes), the same on every machine."""
    base = np.uint64((seed * 0xD1342543DE82EF95) % 2**64)
    words = _splitmix64(np, base + np.arange(1, count + 1, dtype=np.uint64))
    pairs = (words & np.uint64(0x00FF00FF00FF00FF)) + ((words >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF))
    sums = (pairs * np.uint64(0x0001000100010001)) >> np.uint64(48)
    return ((sums.astype(np.float64) - 1020.0) / 209.0).astype(np.float32)


def digest(np, array):
    """Sum, L2 norm, largest magnitude and 64 values at seeded positions of one output."""
    flat = np.asarray(array).reshape(-1)
    values = flat.astype(np.float64)
    count = np.uint64(max(values.size, 1))
    if not np.isfinite(values).all():
        raise ValueError("the output is not finite")
    picks = _splitmix64(np, np.arange(OUTPUT_SEED, OUTPUT_SEED + DIGEST_VALUES, dtype=np.uint64)) % count
    return {
        "type": str(flat.dtype),
        "size": int(values.size),
        "sum": float(values.sum()),
        "l2": float(np.sqrt((values**2).sum())),
        "max_abs": float(np.abs(values).max(initial=0.0)),
        "values": [float(v) for v in values[picks.astype(np.int64)]],
    }


def largest(np, array, count):
    """Places and values of the `count` largest elements of one output, the largest first, equal ones in order."""
    values = np.asarray(array).reshape(-1).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("the output is not finite")
    places = np.argsort(-values, kind="stable")[:count]
    return [int(place) for place in places], [float(value) for value in values[places]]


# --- engines ------------------------------------------------------------------------------------


class Tensor:
    """An input or output: its shape, numpy type, and quantization (scale 0: none)."""

    def __init__(self, shape, dtype, scale=0.0, zero_point=0):
        self.shape = tuple(int(size) for size in shape)
        self.dtype = dtype
        self.scale = float(scale)
        self.zero_point = int(zero_point)


class LiteRt:
    """LiteRT through whichever Python package is installed."""

    name = "litert"

    def __init__(self, delegate, threads):
        try:
            import ai_edge_litert as package
            from ai_edge_litert import interpreter

            self.package, library, profiler = "ai-edge-litert", "libpywrap_litert_common.so", "libLiteRt.so"
        except ImportError:
            import tflite_runtime as package
            from tflite_runtime import interpreter

            self.package, library, profiler = "tflite-runtime", "_pywrap_tensorflow_interpreter_wrapper*.so", None
        from importlib.metadata import version

        self.version = version(self.package)
        folder = Path(package.__file__).parent
        self.library = next(iter(sorted(folder.glob(library))), None)
        self.profiler = folder / profiler if profiler and (folder / profiler).is_file() else None
        self._module = interpreter
        self._threads = threads
        self._resolver = (
            interpreter.OpResolverType.AUTO
            if delegate == "xnnpack"
            else interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )

    def load(self, path):
        interpreter = self._module.Interpreter(
            model_path=str(path), num_threads=self._threads, experimental_op_resolver_type=self._resolver
        )
        interpreter.allocate_tensors()
        return LiteRtModel(interpreter)


class LiteRtModel:
    def __init__(self, interpreter):
        self._interpreter = interpreter
        self._in, self._out = interpreter.get_input_details(), interpreter.get_output_details()
        self.inputs = [Tensor(d["shape"], d["dtype"], *d["quantization"]) for d in self._in]
        self.output_types = [d["dtype"] for d in self._out]
        self.output_shapes = [d["shape"] for d in self._out]
        self.invoke = interpreter.invoke

    def feed(self, values):
        for detail, array in zip(self._in, values):
            self._interpreter.set_tensor(detail["index"], array)

    def outputs(self):
        return [self._interpreter.get_tensor(detail["index"]) for detail in self._out]


class Executorch:
    """ExecuTorch through its Python bindings, which need torch."""

    name = "executorch"
    package = "executorch"
    profiler = None

    def __init__(self, _delegate, threads):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch
            from executorch.extension.pybindings import _C
        from importlib.metadata import version

        self.version = version(self.package)
        self.library = Path(_C.__file__).parents[2] / "lib" / "libexecutorch_backend_xnnpack.so"
        self._torch = torch
        self._bindings = _C
        _C._unsafe_reset_threadpool(threads)

    def load(self, path):
        program = self._bindings._load_program(str(path))
        return ExecutorchModel(self._torch, program, program.load_method("forward"))


class ExecutorchModel:
    """Inputs and outputs are held in the order of memory: channels last, where the model was exported so."""

    def __init__(self, torch, program, method):
        self._torch = torch
        self._program = program
        self._method = method
        meta = method.method_meta()
        infos = [meta.input_tensor_meta(index) for index in range(meta.num_inputs())]
        # Scalar types by their number: uint8, int8, int16, int32, int64, (half,) float.
        types = {0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 6: "float32"}
        if any(info.dtype() not in types for info in infos):
            raise ValueError("the model has an input of a type that is not measured")
        self._sizes = [tuple(info.sizes()) for info in infos]
        self.inputs = [
            Tensor(info.sizes(), types[info.dtype()], *(self._constant(f"input{n}_{part}") for part in ("scale", "zp")))
            for n, info in enumerate(infos)
        ]
        self._tensors = None
        self.invoke = method.execute

    def feed(self, values):
        if self._tensors is None:
            self._tensors = self._bound(values)
        self._method.set_inputs(self._tensors)

    def _constant(self, name):
        """What a constant method of the program answers, such as the scale of an integer input; 0 without it."""
        names = [self._program.get_method_name(n) for n in range(self._program.num_methods())]
        if name not in names:
            return 0
        method = self._program.load_method(name)
        method.execute()
        return method.get_outputs()[0]

    def _bound(self, values):
        """The arrays as tensors of the dimension order that the model takes."""
        last = [self._channels_last(array, sizes) for array, sizes in zip(values, self._sizes)]
        try:
            self._method.set_inputs(last)
        except RuntimeError:
            return [self._torch.from_numpy(a.reshape(s)) for a, s in zip(values, self._sizes)]
        return last

    def _channels_last(self, array, sizes):
        if len(sizes) != 4:
            return self._torch.from_numpy(array.reshape(sizes))
        n, c, h, w = sizes
        return self._torch.from_numpy(array.reshape(n, h, w, c)).permute(0, 3, 1, 2)

    def outputs(self):
        found = []
        for tensor in self._method.get_outputs():
            last = tensor.dim() == 4 and tensor.is_contiguous(memory_format=self._torch.channels_last)
            found.append((tensor.permute(0, 2, 3, 1) if last else tensor).contiguous().numpy())
        return found


ENGINES = {engine.name: engine for engine in (LiteRt, Executorch)}


class Job:
    """One loaded model with its inputs."""

    def __init__(self, np, engine, job, path, seed):
        self.id = job["id"]
        self.rounds = job["rounds"]
        self.anchor = job["anchor"]
        begin = time.perf_counter_ns()
        self.model = engine.load(path)
        self.load_ns = time.perf_counter_ns() - begin
        self.inputs = []
        for offset, tensor in enumerate(self.model.inputs):
            values = seeded_normal(np, int(np.prod(tensor.shape)), seed + offset).reshape(tensor.shape)
            if np.issubdtype(tensor.dtype, np.integer):
                limits = np.iinfo(tensor.dtype)
                values = np.clip(
                    np.round(values / (tensor.scale or DEFAULT_SCALE)) + tensor.zero_point, limits.min, limits.max
                )
            self.inputs.append(values.astype(tensor.dtype))
        self.feed()
        begin = time.perf_counter_ns()
        self.model.invoke()
        self.first_ns = time.perf_counter_ns() - begin
        self.digests = [digest(np, array) for array in self.model.outputs()]

    def feed(self):
        self.model.feed(self.inputs)


def library_sha256(engine):
    return None if engine.library is None else file_sha256(engine.library)


def file_sha256(path):
    hashed = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            hashed.update(chunk)
    return hashed.hexdigest()


# --- the machine ----------------------------------------------------------------------------------


class Machine:
    """What the kernel tells about this process and its cores; None where it does not."""

    def __init__(self):
        try:
            self._getcpu = ctypes.CDLL(None).sched_getcpu
        except (OSError, AttributeError):
            self._getcpu = None

    def pin(self, cores):
        """Restricts this process to `cores` and reads the result back; None where that is not possible."""
        try:
            if cores:
                os.sched_setaffinity(0, cores)
            return sorted(os.sched_getaffinity(0))
        except (AttributeError, OSError):
            return None

    def core(self):
        return self._getcpu() if self._getcpu else None

    def frequency_khz(self, core):
        return self._number(f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq")

    def temperature_mc(self):
        return self._number("/sys/class/thermal/thermal_zone0/temp")

    @staticmethod
    def _number(path):
        try:
            with open(path) as file:
                return int(file.read())
        except (OSError, ValueError):
            return None

    @staticmethod
    def emulated():
        """Whether an emulator of another processor runs this program, so that its times mean nothing.

        qemu answers for /proc/self/exe with the program it emulates, but not for the thread's own entry.
        """
        try:
            return os.readlink("/proc/self/exe") != os.readlink(f"/proc/self/task/{os.getpid()}/exe")
        except OSError:
            return False

    @staticmethod
    def status_bytes(field):
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        return None

    @staticmethod
    def release():
        """Gives freed memory back to the system (glibc)."""
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)

    @staticmethod
    def reset_peak():
        """Resets VmHWM, so that one process can measure one model after another."""
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")


# --- the passes -----------------------------------------------------------------------------------


class Launch:
    """One plan on one engine: loads the jobs, then runs the plan's pass."""

    def __init__(self, np, plan, folder, results, heartbeat):
        self._np = np
        self._plan = plan
        self._folder = folder
        self._results = results
        self._heartbeat = heartbeat
        self._machine = Machine()
        self._deadline = time.monotonic() + plan["deadline_s"]
        self._flush = np.ones(plan["flush_bytes"] // 8) if plan["flush_bytes"] else None
        self._begin_ns = time.perf_counter_ns()
        self._last_ns = time.perf_counter_ns()
        self.stopping = None

    def run(self):
        plan = self._plan
        cores = self._machine.pin(plan["cores"])
        engine = ENGINES[plan["engine"]](plan["delegate"], plan["threads"])
        self._results.write(
            kind="launch", protocol=PROTOCOL, runner=RUNNER, launch=plan["launch"], engine=plan["engine"],
            engine_package=engine.package, engine_version=engine.version, engine_sha256=library_sha256(engine),
            delegate=plan["delegate"], threads=plan["threads"], cores=cores, emulated=self._machine.emulated(),
            pid=os.getpid(), unix_ns=time.time_ns(),
        )  # fmt: skip
        if plan["pass"] == "time":
            self._time(self._load(engine))
            return
        run = {"memory": self._memory, "profile": self._profile, "evaluate": self._evaluate}[plan["pass"]]
        for job in plan["jobs"]:
            run(engine, job)

    def _check(self):
        self._heartbeat.beat(self._results.visits)
        if self.stopping is not None:
            raise Stop(self.stopping)
        if time.monotonic() > self._deadline:
            raise Stop("deadline")
        if self._plan["parent_pid"] and os.getppid() != self._plan["parent_pid"]:
            raise Stop("orphan")

    def _failure(self, job, stage, error):
        message = " ".join(str(error).split())[:500] or type(error).__name__
        self._results.write(kind="failure", job=job["id"], stage=stage, message=message)

    def _checked_file(self, job, name, sha256):
        """A file below the plan's folder if it is there with that hash, or None after a failure line."""
        self._check()
        path = self._folder / name
        try:
            found = file_sha256(path)
        except OSError as error:
            return self._failure(job, "read", error.strerror or error)
        if found != sha256:
            return self._failure(job, "hash", f"the file has sha256 {found}, the plan says {sha256}")
        return path

    def _open(self, engine, job):
        """The loaded job, or None after a failure line."""
        path = self._checked_file(job, job["model"], job["sha256"])
        if path is None:
            return None
        try:
            return Job(self._np, engine, job, path, self._plan["input_seed"])
        except (ValueError, RuntimeError, MemoryError, TypeError) as error:
            return self._failure(job, "load", error)

    def _load(self, engine):
        jobs = []
        used = 0
        base = self._machine.status_bytes("VmRSS") or 0
        for job in self._plan["jobs"]:
            if used > self._plan["memory_budget_bytes"] and not job["anchor"]:
                self._failure(job, "budget", f"the jobs before it hold {used} bytes of the budget")
                continue
            loaded = self._open(engine, job)
            if loaded is not None:
                jobs.append(loaded)
                self._loaded(loaded)
                used = (self._machine.status_bytes("VmRSS") or base) - base
        return jobs

    def _loaded(self, job):
        self._results.write(kind="load", job=job.id, load_ns=job.load_ns, first_ns=job.first_ns, digests=job.digests)

    def _time(self, jobs):
        order = random.Random(self._plan["seed"])
        anchors = [job for job in jobs if job.anchor]
        for round_index in range(max((job.rounds for job in jobs), default=0)):
            visits = [job for job in jobs if job.rounds > round_index]
            for group in self._groups(visits, order):
                self._check()
                idle_ns = time.perf_counter_ns() - self._last_ns
                if anchors and idle_ns > self._plan["idle_us"] * 1000:
                    self._rewarm(anchors[0].model.invoke)
                self._visit([job for job in group if job.rounds > round_index], round_index)

    def _groups(self, jobs, order):
        """The visits of a round in seeded order: anchors alone, the others in equal groups that take turns."""
        order.shuffle(jobs)
        others = [job for job in jobs if not job.anchor]
        count = max(1, round(len(others) / self._plan["interleave"]))
        groups = [others[i * len(others) // count : (i + 1) * len(others) // count] for i in range(count)]
        groups = [group for group in groups if group] + [[job] for job in jobs if job.anchor]
        order.shuffle(groups)
        return groups

    def _rewarm(self, invoke):
        until = time.perf_counter_ns() + self._plan["rewarm_us"] * 1000
        while time.perf_counter_ns() < until:
            invoke()

    def _visit(self, group, round_index):
        """One burst of a group of jobs, which take turns; a group of one is a plain burst."""
        machine = self._machine
        for redone in range(REDONE + 1):
            if redone:
                machine.pin(self._plan["cores"])
            begin = time.perf_counter_ns()
            group = self._warm(group, begin)
            core_before = machine.core()
            start = time.perf_counter_ns()
            samples = self._burst(group, start)
            self._last_ns = time.perf_counter_ns()
            core_after = machine.core()
            if not self._off_mask(core_before) and not self._off_mask(core_after):
                break
        frequency, temperature = machine.frequency_khz(core_after), machine.temperature_mc()
        for job, (wall, cpu) in samples.items():
            self._results.write(
                kind="visit", job=job.id, round=round_index, start_ns=start - self._begin_ns,
                warmup_ns=(start - begin) // len(group), wall_ns=wall, cpu_ns=cpu, core_before=core_before,
                core_after=core_after, redone=redone, frequency_khz=frequency, temperature_mc=temperature,
            )  # fmt: skip

    def _off_mask(self, core):
        return core is not None and bool(self._plan["cores"]) and core not in self._plan["cores"]

    def _warm(self, group, begin):
        """Untimed turns until the warm-up's number and time are reached; returns the jobs that run."""
        burst, turns = self._plan["burst"], 0
        while turns < burst["warmup_invokes"] or time.perf_counter_ns() - begin < burst["warmup_us"] * 1000:
            for job in list(group):
                try:
                    job.model.invoke()
                except RuntimeError as error:
                    self._failure({"id": job.id}, "invoke", error)
                    job.rounds = 0
                    group.remove(job)
            if not group:
                break
            turns += 1
        return group

    def _burst(self, group, begin):
        """Wall and thread CPU time of each timed invoke, by job."""
        burst, clock, thread_clock = self._plan["burst"], time.perf_counter_ns, time.thread_time_ns
        least, most = burst["invokes"], burst["max_invokes"]
        duration = burst["duration_us"] * 1000 * len(group)
        samples = {job: ([], []) for job in group}
        turns = [(job, job.model.invoke, *samples[job]) for job in group]
        # Anchors tell how fast the machine is, so nothing is flushed for them.
        flush = None if any(job.anchor for job in group) else self._flush
        refeed = flush is not None or len(group) > 1
        taken = 0
        while turns and (taken < least or (clock() - begin < duration and taken < most)):
            if flush is not None:
                flush.max()
            for job, invoke, wall, cpu in turns:
                if refeed:
                    job.feed()
                cpu_begin = thread_clock()
                wall_begin = clock()
                invoke()
                wall_end = clock()
                cpu_end = thread_clock()
                wall.append(wall_end - wall_begin)
                cpu.append(cpu_end - cpu_begin)
            taken += 1
        return samples

    def _memory(self, engine, job):
        prepared = self._open(engine, job)
        if prepared is None:
            return None
        # Everything but the inputs goes, so that loading again starts from nothing.
        inputs = prepared.inputs
        del prepared
        try:
            self._machine.release()
            self._machine.reset_peak()
            before = self._machine.status_bytes("VmRSS")
            model = engine.load(self._folder / job["model"])
            model.feed(inputs)
            model.invoke()
            model.invoke()
            peak, after = self._machine.status_bytes("VmHWM"), self._machine.status_bytes("VmRSS")
        except (OSError, RuntimeError, ValueError) as error:
            return self._failure(job, "memory", error)
        self._results.write(
            kind="memory", job=job["id"], peak_bytes=max(peak - before, 0), resident_bytes=max(after - before, 0)
        )
        return None

    def _profile(self, engine, job):
        if engine.profiler is None:
            return self._failure(job, "profile", f"{engine.package} has no profiler in this runner")
        loaded = self._open(engine, job)
        if loaded is None:
            return None
        try:
            profiler = LiteRtProfiler(engine.profiler, self._folder / job["model"], self._plan)
            invokes, events = profiler.events(self._plan["burst"]["invokes"], loaded)
        except (OSError, RuntimeError, AttributeError) as error:
            return self._failure(job, "profile", error)
        self._results.write(kind="ops", job=loaded.id, invokes=invokes, ops=events)
        return None

    def _evaluate(self, engine, job):
        wanted = self._plan["evaluation"]
        loaded = self._open(engine, job)
        path = loaded and self._checked_file(job, wanted["inputs"], wanted["sha256"])
        if path is None:
            return None
        self._loaded(loaded)
        if len(loaded.inputs) != 1 or not loaded.inputs[0].nbytes or not loaded.digests:
            return self._failure(job, "evaluate", "only models of one input and with an output are evaluated")
        held = loaded.inputs[0]
        there = path.stat().st_size // held.nbytes
        if path.stat().st_size % held.nbytes or wanted["first"] + wanted["count"] > there:
            return self._failure(job, "evaluate", f"the file of inputs holds {there} of {held.nbytes} bytes each")
        with open(path, "rb") as file:
            file.seek(wanted["first"] * held.nbytes)
            for number in range(wanted["first"], wanted["first"] + wanted["count"]):
                self._check()
                try:
                    # In place: an engine may hold the array itself.
                    held[...] = self._np.frombuffer(file.read(held.nbytes), held.dtype).reshape(held.shape)
                    loaded.feed()
                    loaded.model.invoke()
                    places, values = largest(self._np, loaded.model.outputs()[0], wanted["top"])
                except (OSError, ValueError, RuntimeError) as error:
                    return self._failure(job, "evaluate", error)
                self._results.write(kind="output", job=loaded.id, input=number, places=places, values=values)
        return None


class LiteRtProfiler:
    """Per-operator times through the C API of libLiteRt.so, as in ai-edge-litert 2.3 (it has no headers)."""

    VERSION = "2.3."
    FLOAT32, INT32, INT8 = 1, 2, 9

    class Layout(ctypes.Structure):
        _fields_ = [("rank", ctypes.c_uint32), ("dimensions", ctypes.c_int32 * 8), ("strides", ctypes.c_uint32 * 8)]

    class TensorType(ctypes.Structure):
        pass

    class Event(ctypes.Structure):
        _fields_ = [
            ("tag", ctypes.c_char_p), ("type", ctypes.c_int), ("start_us", ctypes.c_uint64),
            ("elapsed_us", ctypes.c_uint64), ("begin_memory", ctypes.c_int64 * 3), ("end_memory", ctypes.c_int64 * 3),
            ("metadata_1", ctypes.c_uint64), ("metadata_2", ctypes.c_uint64), ("source", ctypes.c_int),
        ]  # fmt: skip

    def __init__(self, library, model, plan):
        self._c = ctypes.CDLL(str(library))
        self._keep = []
        pointer = ctypes.c_void_p
        environment, self._model, options = pointer(), pointer(), pointer()
        self._call("LiteRtCreateEnvironment", 0, None, ctypes.byref(environment))
        self._environment = environment
        path = ctypes.c_char_p(str(model).encode())
        self._call("LiteRtCreateModelFromFile", environment, path, ctypes.byref(self._model))
        self._call("LiteRtCreateOptions", ctypes.byref(options))
        self._call("LiteRtSetOptionsHardwareAccelerators", options, 1)
        self._opaque(options, b"runtime_options_string", b"enable_profiling = true\n")
        self._opaque(options, b"xnnpack", b"num_threads = %d\n" % plan["threads"])
        self._compiled, self._profiler = pointer(), pointer()
        self._call("LiteRtCreateCompiledModel", environment, self._model, options, ctypes.byref(self._compiled))
        self._call("LiteRtCompiledModelGetProfiler", self._compiled, ctypes.byref(self._profiler))
        if not self._profiler.value:
            raise RuntimeError("LiteRT gave no profiler")

    def events(self, invokes, job):
        """(invokes, events of all of them); an event is {tag, type, start_us, elapsed_us, source}."""
        model = job.model
        inputs = (ctypes.c_void_p * 1)(self._buffer("Input", model.inputs[0].dtype, model.inputs[0].shape))
        outputs = (ctypes.c_void_p * 1)(self._buffer("Output", model.output_types[0], model.output_shapes[0]))

        def run():
            one = ctypes.c_size_t(1)
            self._call("LiteRtRunCompiledModel", self._compiled, ctypes.c_size_t(0), one, inputs, one, outputs)

        for _ in range(5):
            run()
        self._call("LiteRtStartProfiler", self._profiler)
        for _ in range(invokes):
            run()
        self._call("LiteRtStopProfiler", self._profiler)
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (self.Event * count.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, events)
        return invokes, [
            {
                "tag": (e.tag or b"").decode(errors="replace"), "type": e.type, "start_us": e.start_us,
                "elapsed_us": e.elapsed_us, "node": e.metadata_1, "source": e.source,
            }
            for e in events
        ]  # fmt: skip

    def _call(self, name, *arguments):
        status = getattr(self._c, name)(*arguments)
        if status != 0:
            raise RuntimeError(f"{name} returned {status}")

    def _opaque(self, options, identifier, text):
        buffer = ctypes.create_string_buffer(text)
        deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)
        self._keep += [buffer, deleter]
        record = ctypes.c_void_p()
        data = ctypes.cast(buffer, ctypes.c_void_p)
        self._call("LiteRtCreateOpaqueOptions", ctypes.c_char_p(identifier), data, deleter, ctypes.byref(record))
        self._call("LiteRtAddOpaqueOptions", options, record)

    def _buffer(self, which, dtype, shape):
        requirements, buffer = ctypes.c_void_p(), ctypes.c_void_p()
        zero = ctypes.c_size_t(0)
        name = f"LiteRtGetCompiledModel{which}BufferRequirements"
        self._call(name, self._compiled, zero, zero, ctypes.byref(requirements))
        kind = self.TensorType()
        kind.element_type = self.INT8 if dtype.__name__ == "int8" else self.FLOAT32
        kind.layout.rank = len(shape)
        for axis, size in enumerate(shape):
            kind.layout.dimensions[axis] = int(size)
        create = "LiteRtCreateManagedTensorBufferFromRequirements"
        self._call(create, self._environment, ctypes.byref(kind), requirements, ctypes.byref(buffer))
        return buffer.value


LiteRtProfiler.TensorType._fields_ = [("element_type", ctypes.c_int), ("layout", LiteRtProfiler.Layout)]


class Heartbeat:
    """A small file whose content changes while the runner is alive: its process, a time, the visits done."""

    def __init__(self, path):
        self._path = path
        self._next = 0.0

    def beat(self, visits):
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 1.0
            try:
                with open(self._path, "w") as file:
                    file.write(f"{os.getpid()} {now:.3f} {visits}\n")
            except OSError:
                pass


def run(plan_path, results_path):
    """Executes the plan; returns the exit status of PROTOCOL.md."""
    try:
        plan = read_plan(plan_path)
    except PlanError as error:
        print(f"hwbench runner: {error}", file=sys.stderr)
        return EXIT_BAD_PLAN
    try:
        results = Results(results_path)
    except OSError as error:
        print(f"hwbench runner: {results_path}: {error.strerror}", file=sys.stderr)
        return EXIT_OUTPUT
    # The engine and OpenMP read these when they are loaded.
    os.environ.setdefault("OMP_NUM_THREADS", str(plan["threads"]))
    import numpy as np

    launch = Launch(np, plan, Path(plan_path).resolve().parent, results, Heartbeat(f"{results_path}.heartbeat"))

    def stop(number, _frame):
        launch.stopping = "terminated" if number == signal.SIGTERM else "interrupted"

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for name in ("SIGHUP", "SIGPIPE"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    status, code = "complete", EXIT_DONE
    try:
        launch.run()
    except Stop as reason:
        status = str(reason)
        code = EXIT_DEADLINE if status == "deadline" else EXIT_DONE
    except ImportError as error:
        print(f"hwbench runner: no engine: {error}", file=sys.stderr)
        status, code = "no engine", EXIT_NO_ENGINE
    except OSError as error:
        print(f"hwbench runner: {results_path}: {error.strerror}", file=sys.stderr)
        return EXIT_OUTPUT
    try:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        results.write(
            kind="usage", cpu_s=usage.ru_utime + usage.ru_stime,
            voluntary_switches=usage.ru_nvcsw, involuntary_switches=usage.ru_nivcsw,
        )  # fmt: skip
        results.close(status)
    except OSError as error:
        print(f"hwbench runner: {results_path}: {error.strerror}", file=sys.stderr)
        return EXIT_OUTPUT
    return code


def selftest(names):
    """Prints one JSON object: what this machine allows. Returns 0 when an engine loads."""
    machine = Machine()
    engines = [_try_engine(name) for name in names if name in ENGINES]
    report = {"runner": RUNNER, "protocol": PROTOCOL, "emulated": machine.emulated()}
    report |= {"cores": machine.pin([]), "core": machine.core(), "engines": engines}
    print(json.dumps(report))
    return EXIT_DONE if any("error" not in engine for engine in engines) else EXIT_NO_ENGINE


def _try_engine(name):
    report = {"engine": name, "delegates": DELEGATES[name]}
    try:
        engine = ENGINES[name]("xnnpack", 1)
    except ImportError as error:
        return {**report, "error": str(error)}
    report |= {"engine_package": engine.package, "engine_version": engine.version}
    return {**report, "engine_sha256": library_sha256(engine), "profiler": engine.profiler is not None}


def main(arguments):
    if arguments[:1] == ["--selftest"]:
        return selftest(arguments[1:] or list(ENGINES))
    if len(arguments) != 2:
        print("usage: hwbench_runner.py PLAN RESULTS | --selftest [ENGINE...]", file=sys.stderr)
        return EXIT_BAD_PLAN
    return run(*arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
