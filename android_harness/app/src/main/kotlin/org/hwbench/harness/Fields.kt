package org.hwbench.harness

import org.json.JSONArray
import org.json.JSONObject

/** The fields of a JSON object by type; each function raises PlanError that names the field. */
class Fields(val where: String, private val json: JSONObject) {
    fun string(name: String): String = typed(name) as? String ?: wrong(name)

    fun boolean(name: String): Boolean = typed(name) as? Boolean ?: wrong(name)

    fun child(name: String): Fields = Fields("$where.$name", typed(name) as? JSONObject ?: wrong(name))

    fun integer(name: String, least: Long = 0, most: Long = Long.MAX_VALUE): Long {
        val value = when (val found = typed(name)) {
            is Int -> found.toLong()
            is Long -> found
            else -> wrong(name)
        }
        if (value !in least..most) throw PlanError("$where.$name is out of range")
        return value
    }

    fun integer(name: String, least: Long, most: Int): Long = integer(name, least, most.toLong())

    fun number(name: String): Double {
        val value = (typed(name) as? Number)?.toDouble() ?: wrong(name)
        if (!(value >= 0 && value < 9.3e18)) throw PlanError("$where.$name is out of range")
        return value
    }

    fun oneOf(name: String, allowed: List<String>): String {
        val value = string(name)
        if (value !in allowed) throw PlanError("$where.$name is none of ${allowed.joinToString(", ")}")
        return value
    }

    fun <T> array(name: String, read: (Int, JSONArray) -> T): List<T> {
        val list = typed(name) as? JSONArray ?: wrong(name)
        return List(list.length()) { index -> read(index, list) }
    }

    private fun typed(name: String): Any = json.opt(name) ?: throw PlanError("$where.$name is missing")

    private fun wrong(name: String): Nothing = throw PlanError("$where.$name has the wrong type")
}
