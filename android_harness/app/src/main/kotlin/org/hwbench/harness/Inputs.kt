package org.hwbench.harness

import kotlin.math.abs
import kotlin.math.round
import kotlin.math.sqrt

private const val DIGEST_VALUES = 64
private const val OUTPUT_SEED = 0x5EEDL
private const val DEFAULT_SCALE = 1.0 / 32

private fun splitmix64(counter: Long): Long {
    var mixed = counter.toULong() * 0x9E3779B97F4A7C15uL
    mixed = (mixed xor (mixed shr 30)) * 0xBF58476D1CE4E5B9uL
    mixed = (mixed xor (mixed shr 27)) * 0x94D049BB133111EBuL
    return (mixed xor (mixed shr 31)).toLong()
}

/** Nearly normal numbers, the sum of eight random bytes each: the same on every machine. */
fun seededNormal(count: Int, seed: Long): FloatArray {
    val base = seed * 0xD1342543DE82EF95uL.toLong()
    return FloatArray(count) { index ->
        val word = splitmix64(base + index + 1)
        val sum = (0 until 64 step 8).sumOf { shift -> (word ushr shift and 0xFF).toInt() }
        ((sum - 1020.0) / 209.0).toFloat()
    }
}

/** The same numbers for a tensor of 8-bit integers. A scale of 0 is none. */
fun seededInt8(count: Int, seed: Long, scale: Float, zeroPoint: Long): ByteArray {
    val normal = seededNormal(count, seed)
    val step = if (scale == 0f) DEFAULT_SCALE else scale.toDouble()
    return ByteArray(count) { index ->
        (round(normal[index] / step) + zeroPoint).coerceIn(-128.0, 127.0).toInt().toByte()
    }
}

/** What an output is known again by. */
class Digest(val type: String, val size: Int, val sum: Double, val l2: Double, val maxAbs: Double, val values: DoubleArray)

/** Raises IllegalStateException for an output that is not finite. */
fun digest(type: String, output: DoubleArray): Digest {
    check(output.all { it.isFinite() }) { "the output is not finite" }
    val count = maxOf(output.size, 1).toULong()
    val picks = DoubleArray(if (output.isEmpty()) 0 else DIGEST_VALUES) { index ->
        output[(splitmix64(OUTPUT_SEED + index).toULong() % count).toInt()]
    }
    return Digest(
        type = type,
        size = output.size,
        sum = output.sum(),
        l2 = sqrt(output.sumOf { it * it }),
        maxAbs = output.maxOfOrNull { abs(it) } ?: 0.0,
        values = picks,
    )
}
