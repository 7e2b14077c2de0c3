package org.hwbench.harness

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** An input or output. `type` is the number of tensorflow/lite/schema/schema.fbs; a scale of 0 is none. */
class TensorInfo(val type: Int, val count: Int, val scale: Float, val zeroPoint: Long)

const val FLOAT32 = 0
const val INT8 = 9

/** The inputs and outputs of a .tflite file's first subgraph: LiteRT's Kotlin interface does not tell scales. */
class ModelFile private constructor(val inputs: List<TensorInfo>, val outputs: List<TensorInfo>) {
    companion object {
        /** Raises IndexOutOfBoundsException for a file that is not a model. */
        fun read(file: File): ModelFile {
            val bytes = ByteBuffer.wrap(file.readBytes()).order(ByteOrder.LITTLE_ENDIAN)
            val graph = Table(bytes, bytes.getInt(0)).tables(2)[0]
            val tensors = graph.tables(0)
            return ModelFile(graph.integers(1).map { info(tensors[it]) }, graph.integers(2).map { info(tensors[it]) })
        }

        private fun info(tensor: Table): TensorInfo {
            val quantization = tensor.table(4)
            return TensorInfo(
                type = tensor.byte(1),
                count = tensor.integers(0).fold(1) { product, size -> Math.multiplyExact(product, size) },
                scale = quantization?.vector(2, 4) { at -> getFloat(at) }?.firstOrNull() ?: 0f,
                zeroPoint = quantization?.vector(3, 8) { at -> getLong(at) }?.firstOrNull() ?: 0L,
            )
        }
    }
}

/** A table of a FlatBuffers file; fields by their number in the schema. */
private class Table(private val bytes: ByteBuffer, private val at: Int) {
    private val layout = at - bytes.getInt(at)

    private fun place(field: Int): Int? {
        val slot = 4 + 2 * field
        if (slot >= bytes.getShort(layout).toInt()) return null
        val offset = bytes.getShort(layout + slot).toInt() and 0xFFFF
        return if (offset == 0) null else at + offset
    }

    fun byte(field: Int): Int = place(field)?.let { bytes.get(it).toInt() } ?: 0

    fun table(field: Int): Table? = place(field)?.let { Table(bytes, it + bytes.getInt(it)) }

    fun <T> vector(field: Int, width: Int, read: ByteBuffer.(Int) -> T): List<T> {
        val begin = place(field)?.let { it + bytes.getInt(it) } ?: return emptyList()
        return List(bytes.getInt(begin)) { index -> bytes.read(begin + 4 + width * index) }
    }

    fun integers(field: Int): List<Int> = vector(field, 4) { at -> getInt(at) }

    fun tables(field: Int): List<Table> = vector(field, 4) { at -> Table(this, at + getInt(at)) }
}
