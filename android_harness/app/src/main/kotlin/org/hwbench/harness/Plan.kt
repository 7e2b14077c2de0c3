package org.hwbench.harness

import java.io.File
import org.json.JSONException
import org.json.JSONObject

const val PROTOCOL = 2

/** The plan cannot be executed; the message names the field. */
class PlanError(message: String) : Exception(message)

class Burst(val warmupInvokes: Long, val warmupUs: Long, val invokes: Long, val durationUs: Long, val maxInvokes: Long)

class PlannedJob(val id: String, val model: String, val sha256: String, val rounds: Int, val anchor: Boolean)

/** A plan of device_runtime/PROTOCOL.md. `cores` are read and not used: an app cannot pin itself. */
class Plan(
    val launch: Long,
    val delegate: String,
    val threads: Int,
    val seed: Long,
    val inputSeed: Long,
    val flushBytes: Int,
    val interleave: Long,
    val idleUs: Long,
    val rewarmUs: Long,
    val memoryBudgetBytes: Long,
    val parentPid: Long,
    val deadlineS: Double,
    val burst: Burst,
    val jobs: List<PlannedJob>,
) {
    companion object {
        val DELEGATES = listOf("gpu", "npu", "xnnpack")

        /** The plan of a file. Raises PlanError. */
        fun read(file: File): Plan {
            val json = try {
                JSONObject(file.readText())
            } catch (error: JSONException) {
                throw PlanError("the plan cannot be read: ${error.message}")
            }
            val plan = Fields("plan", json)
            plan.oneOf("schema", listOf("hwbench.plan/$PROTOCOL"))
            plan.oneOf("engine", listOf("litert"))
            plan.oneOf("pass", listOf("time"))
            plan.array("cores") { index, list -> if (list.opt(index) !is Int) throw PlanError("plan.cores has the wrong type") }
            return Plan(
                launch = plan.integer("launch"),
                delegate = plan.oneOf("delegate", DELEGATES),
                threads = plan.integer("threads", 1, 1024).toInt(),
                seed = plan.integer("seed"),
                inputSeed = plan.integer("input_seed"),
                flushBytes = plan.integer("flush_bytes", 0, 1 shl 30).toInt(),
                interleave = plan.integer("interleave", 1),
                idleUs = plan.integer("idle_us"),
                rewarmUs = plan.integer("rewarm_us"),
                memoryBudgetBytes = plan.integer("memory_budget_bytes"),
                parentPid = plan.integer("parent_pid"),
                deadlineS = plan.number("deadline_s"),
                burst = burst(plan.child("burst")),
                jobs = jobs(plan),
            )
        }

        private fun burst(fields: Fields): Burst {
            val most = fields.integer("max_invokes", 1, 1_000_000)
            return Burst(
                warmupInvokes = fields.integer("warmup_invokes"),
                warmupUs = fields.integer("warmup_us"),
                invokes = fields.integer("invokes", 1, most),
                durationUs = fields.integer("duration_us"),
                maxInvokes = most,
            )
        }

        private fun jobs(plan: Fields): List<PlannedJob> {
            val jobs = plan.array("jobs") { index, list ->
                val item = list.opt(index) as? JSONObject ?: throw PlanError("plan.jobs[$index] is not an object")
                job(Fields("plan.jobs[$index]", item))
            }
            if (jobs.isEmpty()) throw PlanError("plan.jobs is empty")
            val twice = jobs.groupBy { it.id }.values.firstOrNull { it.size > 1 }
            if (twice != null) throw PlanError("plan.jobs: id '${twice[0].id}' stands twice")
            return jobs
        }

        private fun job(fields: Fields): PlannedJob {
            val model = fields.string("model")
            if (model.isEmpty() || model.startsWith("/") || ".." in model.split("/") || '\u0000' in model) {
                throw PlanError("${fields.where}.model leaves the plan's folder")
            }
            return PlannedJob(
                id = fields.string("id"),
                model = model,
                sha256 = fields.string("sha256"),
                rounds = fields.integer("rounds", 0, 1_000_000).toInt(),
                anchor = fields.boolean("anchor"),
            )
        }
    }
}
