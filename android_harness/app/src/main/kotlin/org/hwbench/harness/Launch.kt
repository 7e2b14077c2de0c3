package org.hwbench.harness

import android.os.Build
import android.os.Debug
import android.os.Process
import android.os.SystemClock
import android.system.Os
import java.io.File
import java.io.IOException
import java.util.Random
import kotlin.math.max
import kotlin.math.roundToInt

const val RUNNER = "android-app-1"

/** The launch ends early; the message goes into the footer. */
private class Stop(status: String) : Exception(status)

private class Job(val planned: PlannedJob, val model: Model, val inputs: List<Any>) {
    val id get() = planned.id
    val anchor get() = planned.anchor
    var rounds = planned.rounds

    fun feed() = model.feed(inputs)
}

/** One plan, executed as device_runtime/PROTOCOL.md says. */
class Launch(private val plan: Plan, private val folder: File, private val results: File, private val libraries: File) {
    private val begin = System.nanoTime()
    private val deadline = begin + (plan.deadlineS.coerceAtMost(1e8) * 1e9).toLong()
    private val file = ResultFile(results)
    private val heartbeat = File("${results.path}.heartbeat")
    private val flush = if (plan.flushBytes > 0) LongArray(plan.flushBytes / 8) { 1 } else null
    private var lastBeat = 0L
    private var last = begin
    private var sink = 0L

    /** Returns the status of the footer. Raises IOException if the result file cannot be written. */
    fun run(): String {
        val status = try {
            Engine(plan.delegate, plan.threads, libraries).use { engine ->
                begun()
                measure(load(engine))
            }
            "complete"
        } catch (stop: Stop) {
            stop.message!!
        } catch (_: LinkageError) {
            "no engine"
        }
        file.line(
            "usage",
            "cpu_s" to Process.getElapsedCpuTime() / 1000.0,
            "voluntary_switches" to (statusNumber("voluntary_ctxt_switches") ?: 0),
            "involuntary_switches" to (statusNumber("nonvoluntary_ctxt_switches") ?: 0),
        )
        file.close(status)
        return status
    }

    private fun begun() = file.line(
        "launch",
        "protocol" to PROTOCOL,
        "runner" to RUNNER,
        "launch" to plan.launch,
        "engine" to "litert",
        "engine_package" to "com.google.ai.edge.litert",
        "engine_version" to BuildConfig.LITERT_VERSION,
        "engine_sha256" to sha256(libraries.listFiles().orEmpty().sortedBy { it.name }),
        "delegate" to plan.delegate,
        "threads" to plan.threads,
        "cores" to null,
        "emulated" to (Build.HARDWARE in listOf("ranchu", "goldfish")),
        "pid" to Process.myPid(),
        "unix_ns" to System.currentTimeMillis() * 1_000_000,
    )

    private fun check() {
        val now = System.nanoTime()
        if (now - lastBeat >= 1_000_000_000) {
            lastBeat = now
            try {
                heartbeat.writeText("${Process.myPid()} ${SystemClock.elapsedRealtime()}\n")
            } catch (_: IOException) {
                // Nobody reads it then.
            }
        }
        if (now > deadline) throw Stop("deadline")
        if (plan.parentPid != 0L && Os.getppid().toLong() != plan.parentPid) throw Stop("orphan")
    }

    private fun failure(id: String, stage: String, error: Any) {
        val text = (error as? Exception)?.let { it.message ?: it.javaClass.simpleName } ?: error.toString()
        val message = text.split(Regex("\\s+")).joinToString(" ").take(500)
        file.line("failure", "job" to id, "stage" to stage, "message" to message)
    }

    private fun load(engine: Engine): List<Job> {
        val before = residentBytes()
        val jobs = mutableListOf<Job>()
        for (planned in plan.jobs) {
            check()
            val used = residentBytes() - before
            if (used > plan.memoryBudgetBytes && !planned.anchor) {
                failure(planned.id, "budget", "the jobs before it hold $used bytes of the budget")
                continue
            }
            val model = File(folder, planned.model)
            val found = try {
                sha256(listOf(model))
            } catch (error: IOException) {
                failure(planned.id, "read", error)
                continue
            }
            if (found != planned.sha256) {
                failure(planned.id, "hash", "the file has sha256 $found, the plan says ${planned.sha256}")
                continue
            }
            try {
                jobs += load(engine, planned, model)
            } catch (error: Exception) {
                failure(planned.id, "load", error)
            }
        }
        return jobs
    }

    private fun load(engine: Engine, planned: PlannedJob, model: File): Job {
        val begin = System.nanoTime()
        val loaded = engine.load(model)
        val loadNs = System.nanoTime() - begin
        val job = Job(planned, loaded, loaded.seeded(plan.inputSeed))
        job.feed()
        val first = System.nanoTime()
        loaded.invoke()
        val firstNs = System.nanoTime() - first
        val digests = loaded.digests()
        file.line("load", "job" to planned.id, "load_ns" to loadNs, "first_ns" to firstNs, "digests" to digests)
        return job
    }

    private fun measure(jobs: List<Job>) {
        val order = Random(plan.seed)
        val anchor = jobs.firstOrNull { it.anchor }
        for (round in 0 until (jobs.maxOfOrNull { it.rounds } ?: 0)) {
            for (group in groups(jobs.filter { it.rounds > round }, order)) {
                check()
                if (anchor != null && System.nanoTime() - last > plan.idleUs * 1000) rewarm(anchor)
                visit(group.filter { it.rounds > round }, round)
            }
        }
    }

    /** The visits of a round in seeded order: anchors alone, the others in equal groups that take turns. */
    private fun groups(jobs: List<Job>, order: Random): List<List<Job>> {
        val shuffled = jobs.shuffled(order)
        val others = shuffled.filter { !it.anchor }
        val count = max(1, (others.size / plan.interleave.toDouble()).roundToInt())
        val groups = List(count) { others.subList(it * others.size / count, (it + 1) * others.size / count) }
        return (groups.filter { it.isNotEmpty() } + shuffled.filter { it.anchor }.map { listOf(it) }).shuffled(order)
    }

    private fun rewarm(anchor: Job) {
        val until = System.nanoTime() + plan.rewarmUs * 1000
        try {
            while (System.nanoTime() < until) anchor.model.invoke()
        } catch (error: Exception) {
            drop(anchor, error)
        }
    }

    private fun drop(job: Job, error: Exception) {
        failure(job.id, "invoke", error)
        job.rounds = 0
    }

    private fun visit(planned: List<Job>, round: Int) {
        val begun = System.nanoTime()
        val group = warm(planned, begun)
        if (group.isEmpty()) return
        val start = System.nanoTime()
        val samples = burst(group, start)
        last = System.nanoTime()
        for ((job, taken) in samples) {
            if (job.rounds == 0) continue
            file.line(
                "visit",
                "job" to job.id,
                "round" to round,
                "start_ns" to start - begin,
                "warmup_ns" to (start - begun) / group.size,
                "wall_ns" to taken.wall(),
                "cpu_ns" to taken.cpu(),
                "core_before" to null,
                "core_after" to null,
                "redone" to 0,
                "frequency_khz" to null,
                "temperature_mc" to null,
            )
        }
    }

    /** Untimed turns until the warm-up's number and time are reached; returns the jobs that run. */
    private fun warm(planned: List<Job>, begun: Long): List<Job> {
        val burst = plan.burst
        val group = planned.toMutableList()
        var turns = 0L
        while (group.isNotEmpty() && (turns < burst.warmupInvokes || System.nanoTime() - begun < burst.warmupUs * 1000)) {
            group.removeAll { job ->
                try {
                    job.model.invoke()
                    false
                } catch (error: Exception) {
                    drop(job, error)
                    true
                }
            }
            turns += 1
        }
        return group
    }

    private fun burst(group: List<Job>, start: Long): List<Pair<Job, Samples>> {
        val burst = plan.burst
        val duration = burst.durationUs * 1000 * group.size
        val samples = group.map { it to Samples(burst.maxInvokes.toInt()) }
        val flushed = flush?.takeIf { group.none { job -> job.anchor } }
        val refeed = flushed != null || group.size > 1
        var taken = 0L
        while (taken < burst.invokes || (System.nanoTime() - start < duration && taken < burst.maxInvokes)) {
            if (flushed != null) sink += flushed.sum()
            for ((job, times) in samples) {
                if (job.rounds == 0) continue
                try {
                    if (refeed) job.feed()
                    val cpu = Debug.threadCpuTimeNanos()
                    val wall = System.nanoTime()
                    job.model.invoke()
                    val wallEnd = System.nanoTime()
                    val cpuEnd = Debug.threadCpuTimeNanos()
                    times.add(wallEnd - wall, cpuEnd - cpu)
                } catch (error: Exception) {
                    drop(job, error)
                }
            }
            taken += 1
        }
        return samples
    }

    private fun residentBytes(): Long = (statusNumber("VmRSS") ?: 0) * 1024

    private fun statusNumber(field: String): Long? = File("/proc/self/status").useLines { lines ->
        lines.firstOrNull { it.startsWith("$field:") }?.split(Regex("\\s+"))?.getOrNull(1)?.toLongOrNull()
    }
}

/** Wall and thread CPU times of a job's invokes in one burst. */
private class Samples(most: Int) {
    private var walls = LongArray(minOf(most, 1024))
    private var cpus = LongArray(minOf(most, 1024))
    private var count = 0

    fun add(wall: Long, cpu: Long) {
        if (count == walls.size) {
            walls = walls.copyOf(2 * count)
            cpus = cpus.copyOf(2 * count)
        }
        walls[count] = wall
        cpus[count] = cpu
        count += 1
    }

    fun wall(): LongArray = walls.copyOf(count)

    fun cpu(): LongArray = cpus.copyOf(count)
}
