package org.hwbench.harness

import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.Environment
import com.google.ai.edge.litert.TensorBuffer
import java.io.File

/** LiteRT with one delegate and nothing beside it: what the delegate cannot run fails and does not fall back. */
class Engine(private val delegate: String, private val threads: Int, libraries: File) : AutoCloseable {
    // The folder holds the libraries of an NPU's maker, where the app was built with them.
    private val environment = Environment.create(
        if (delegate != "npu") {
            mapOf()
        } else {
            mapOf(
                Environment.Option.DispatchLibraryDir to libraries.path,
                Environment.Option.CompilerPluginLibraryDir to libraries.path,
            )
        },
    )

    /** The model of a file. Raises an exception of LiteRT's if the delegate does not take it. */
    fun load(file: File): Model {
        val options = when (delegate) {
            "gpu" -> CompiledModel.Options(Accelerator.GPU)
            "npu" -> CompiledModel.Options(Accelerator.NPU)
            else -> CompiledModel.Options(Accelerator.CPU).apply { cpuOptions = CompiledModel.CpuOptions(numThreads = threads) }
        }
        return Model(CompiledModel.create(file.path, options, environment), ModelFile.read(file), delegate != "xnnpack")
    }

    override fun close() = environment.close()
}

/** A loaded model. With `reads`, an invoke ends when its outputs are in memory: a GPU may return before it is done. */
class Model(private val compiled: CompiledModel, private val file: ModelFile, private val reads: Boolean) {
    private val inputs = compiled.createInputBuffers()
    private val outputs = compiled.createOutputBuffers()

    init {
        check(inputs.size == file.inputs.size && outputs.size == file.outputs.size) { "the engine sees other tensors" }
        check((file.inputs + file.outputs).all { it.type == FLOAT32 || it.type == INT8 }) {
            "the model has an input or output of a type that is not measured"
        }
    }

    /** Arrays for `feed`, from the plan's seed. */
    fun seeded(seed: Long): List<Any> = file.inputs.mapIndexed { index, tensor ->
        if (tensor.type == INT8) {
            seededInt8(tensor.count, seed + index, tensor.scale, tensor.zeroPoint)
        } else {
            seededNormal(tensor.count, seed + index)
        }
    }

    fun feed(values: List<Any>) = inputs.forEachIndexed { index, buffer ->
        when (val array = values[index]) {
            is ByteArray -> buffer.writeInt8(array)
            is FloatArray -> buffer.writeFloat(array)
        }
    }

    fun invoke() {
        compiled.run(inputs, outputs)
        if (reads) outputs.forEachIndexed { index, buffer -> read(buffer, file.outputs[index]) }
    }

    fun digests(): List<Digest> = outputs.mapIndexed { index, buffer ->
        when (val array = read(buffer, file.outputs[index])) {
            is ByteArray -> digest("int8", DoubleArray(array.size) { array[it].toDouble() })
            is FloatArray -> digest("float32", DoubleArray(array.size) { array[it].toDouble() })
            else -> error("an output of a type that is not measured")
        }
    }

    private fun read(buffer: TensorBuffer, tensor: TensorInfo): Any =
        if (tensor.type == INT8) buffer.readInt8() else buffer.readFloat()
}
