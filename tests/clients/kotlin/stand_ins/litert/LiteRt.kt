// Stand-ins for LiteRT's Kotlin API, with its signatures; the real native library does the work.
package com.google.ai.edge.litert

import android.content.res.AssetManager
import org.edgemelanoma.desktop.NativeModel
import org.edgemelanoma.desktop.NativeTensor

enum class Accelerator { NONE, CPU, GPU, NPU }

class LiteRtException(message: String) : Exception(message)

class Environment private constructor()

/** Counts what is open, as the native side would leak it. */
abstract class JniHandle internal constructor() : AutoCloseable {
    private var isOpen = true

    init {
        open++
    }

    protected fun assertNotDestroyed() = check(isOpen) { "The handle has been destroyed." }

    protected abstract fun destroy()

    final override fun close() {
        if (isOpen) {
            isOpen = false
            open--
            destroy()
        }
    }

    companion object {
        /** How many handles are open. */
        var open = 0
            private set
    }
}

data class TensorType
@JvmOverloads
constructor(val elementType: ElementType, val layout: Layout? = null) {
    enum class ElementType { INT, FLOAT, INT8, BOOLEAN, INT64 }

    data class Layout
    @JvmOverloads
    constructor(val dimensions: List<Int>, val strides: List<Int> = listOf()) {
        val rank: Int get() = dimensions.size
    }
}

class TensorBuffer internal constructor(private val bytes: ByteArray) : JniHandle() {
    internal val data get() = bytes

    fun writeInt8(data: ByteArray) {
        assertNotDestroyed()
        if (data.size > bytes.size) throw LiteRtException("The buffer is too small.")
        data.copyInto(bytes)
    }

    fun readInt8(): ByteArray {
        assertNotDestroyed()
        return bytes.copyOf()
    }

    override fun destroy() = Unit
}

class Model private constructor(internal val native: NativeModel) : JniHandle() {
    fun getInputTensorType(inputName: String, signature: String? = null): TensorType {
        assertNotDestroyed()
        return typeOf(listOf(native.input), inputName, signature)
    }

    fun getOutputTensorType(outputName: String, signature: String? = null): TensorType {
        assertNotDestroyed()
        return typeOf(native.outputs, outputName, signature)
    }

    private fun typeOf(tensors: List<NativeTensor>, name: String, signature: String?): TensorType {
        val tensor = tensors.firstOrNull { it.name == name && signature == null }
            ?: throw LiteRtException("There is no tensor $name.")
        val type = when (tensor.elementType) {
            NativeTensor.FLOAT32 -> TensorType.ElementType.FLOAT
            NativeTensor.INT8 -> TensorType.ElementType.INT8
            else -> throw LiteRtException("Unsupported element type ${tensor.elementType}.")
        }
        return TensorType(type, TensorType.Layout(tensor.shape))
    }

    override fun destroy() = native.close()

    companion object {
        @JvmStatic
        fun load(assetManager: AssetManager, assetName: String): Model =
            try {
                Model(NativeModel(assetManager.open(assetName).use { it.readBytes() }))
            } catch (refused: NativeModel.Refused) {
                throw LiteRtException(refused.message.orEmpty())
            }
    }
}

class CompiledModel private constructor(private val model: Model) : JniHandle() {
    data class CpuOptions(
        val numThreads: Int? = null,
        val xnnPackFlags: Int? = null,
        val xnnPackWeightCachePath: String? = null,
    )

    class Options(internal val accelerators: Set<Accelerator>) {
        constructor(vararg accelerators: Accelerator) : this(setOf(*accelerators))

        var cpuOptions: CpuOptions? = null

        companion object {
            @JvmStatic val CPU = Options(Accelerator.CPU)
        }
    }

    @JvmOverloads
    fun createInputBuffers(signatureIndex: Int = 0): List<TensorBuffer> =
        buffersOf(listOf(model.native.input), signatureIndex)

    @JvmOverloads
    fun createOutputBuffers(signatureIndex: Int = 0): List<TensorBuffer> =
        buffersOf(model.native.outputs, signatureIndex)

    private fun buffersOf(tensors: List<NativeTensor>, signatureIndex: Int): List<TensorBuffer> {
        assertNotDestroyed()
        check(signatureIndex == 0) { "The models have one signature." }
        return tensors.map { TensorBuffer(ByteArray(it.byteCount)) }
    }

    @JvmOverloads
    fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>, signatureIndex: Int = 0) {
        assertNotDestroyed()
        check(signatureIndex == 0) { "The models have one signature." }
        model.native.run(inputs[0].data).zip(outputs) { bytes, output ->
            bytes.copyInto(output.data)
        }
    }

    override fun destroy() = Unit

    companion object {
        /** The number of threads that was last asked for. */
        var threads: Int? = null
            private set

        @JvmStatic
        @JvmOverloads
        fun create(
            model: Model,
            options: Options = Options.CPU,
            optionalEnv: Environment? = null,
        ): CompiledModel {
            check(options.accelerators == setOf(Accelerator.CPU)) { "only the CPU is here" }
            check(optionalEnv == null) { "only the default environment is here" }
            threads = options.cpuOptions?.numThreads
            return CompiledModel(model)
        }
    }
}
