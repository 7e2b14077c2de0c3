package org.hwbench.harness

import java.io.File
import java.io.FileOutputStream
import java.security.MessageDigest
import org.json.JSONArray
import org.json.JSONObject

/** Appends JSON lines, each written whole; `close` adds the footer that makes the file complete. */
class ResultFile(file: File) {
    private val out = FileOutputStream(file)
    private val hash = MessageDigest.getInstance("SHA-256")
    private var lines = 0

    fun line(kind: String, vararg fields: Pair<String, Any?>) {
        val data = encoded(kind, fields)
        out.write(data)
        hash.update(data)
        lines += 1
    }

    fun close(status: String) {
        out.write(encoded("footer", arrayOf("status" to status, "lines" to lines, "sha256" to hash.digest().hex())))
        out.fd.sync()
        out.close()
    }

    private fun encoded(kind: String, fields: Array<out Pair<String, Any?>>): ByteArray {
        val json = JSONObject().put("kind", kind)
        for ((name, value) in fields) json.put(name, json(value))
        return (json.toString() + "\n").toByteArray()
    }

    private fun json(value: Any?): Any = when (value) {
        null -> JSONObject.NULL
        is LongArray -> JSONArray().apply { for (item in value) put(item) }
        is DoubleArray -> JSONArray().apply { for (item in value) put(item) }
        is List<*> -> JSONArray().apply { for (item in value) put(json(item)) }
        is Digest -> JSONObject()
            .put("type", value.type).put("size", value.size).put("sum", value.sum).put("l2", value.l2)
            .put("max_abs", value.maxAbs).put("values", json(value.values))
        else -> value
    }
}

fun ByteArray.hex(): String = joinToString("") { "%02x".format(it) }

/** The hash of files read one after the other. */
fun sha256(files: List<File>): String {
    val hash = MessageDigest.getInstance("SHA-256")
    val buffer = ByteArray(1 shl 20)
    for (file in files) {
        file.inputStream().use { input ->
            generateSequence { input.read(buffer) }.takeWhile { it >= 0 }.forEach { hash.update(buffer, 0, it) }
        }
    }
    return hash.digest().hex()
}
