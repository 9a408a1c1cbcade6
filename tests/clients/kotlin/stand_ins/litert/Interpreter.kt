// Stand-ins for the interpreter's Java API, with its signatures; the native library does the work.
package org.tensorflow.lite

import java.nio.ByteBuffer
import org.edgemelanoma.desktop.NativeModel
import org.edgemelanoma.desktop.NativeTensor

enum class DataType { FLOAT32, INT32, UINT8, INT64, STRING, BOOL, INT16, INT8 }

interface Tensor {
    fun dataType(): DataType

    fun shape(): IntArray

    fun quantizationParams(): QuantizationParams

    class QuantizationParams(val scale: Float, val zeroPoint: Int)
}

class Interpreter(byteBuffer: ByteBuffer, options: Options?) : AutoCloseable {
    class Options {
        internal var threads = -1

        fun setNumThreads(numThreads: Int): Options = apply { threads = numThreads }

        fun setUseXNNPACK(useXNNPACK: Boolean): Options = apply {
            check(useXNNPACK) { "only XNNPACK is here" }
        }
    }

    private val native: NativeModel
    private var isOpen = true

    init {
        require(byteBuffer.isDirect) { "The ByteBuffer is not direct." }
        threads = options?.threads
        val bytes = ByteArray(byteBuffer.capacity())
        byteBuffer.duplicate().rewind().get(bytes)
        native = try {
            NativeModel(bytes)
        } catch (refused: NativeModel.Refused) {
            throw IllegalArgumentException(refused.message)
        }
        open++
    }

    fun getInputTensor(index: Int): Tensor = LoadedTensor(native.input).also { check(index == 0) }

    fun getOutputTensorCount(): Int = native.outputs.size

    fun getOutputTensor(index: Int): Tensor = LoadedTensor(native.outputs[index])

    fun runForMultipleInputsOutputs(inputs: Array<Any>, outputs: Map<Int, Any>) {
        check(isOpen) { "Internal error: The Interpreter has already been closed." }
        val input = inputs.single() as ByteBuffer
        require(input.remaining() == native.input.byteCount) { "The input has another size." }
        val bytes = ByteArray(input.remaining())
        input.get(bytes)
        val found = native.run(bytes)
        outputs.forEach { (index, output) -> (output as ByteBuffer).put(found[index]) }
    }

    override fun close() {
        if (isOpen) {
            isOpen = false
            open--
            native.close()
        }
    }

    private class LoadedTensor(private val native: NativeTensor) : Tensor {
        override fun dataType() = when (native.elementType) {
            NativeTensor.FLOAT32 -> DataType.FLOAT32
            NativeTensor.UINT8 -> DataType.UINT8
            NativeTensor.INT8 -> DataType.INT8
            else -> error("An element type ${native.elementType} is not in the models.")
        }

        override fun shape() = native.shape.toIntArray()

        override fun quantizationParams() =
            Tensor.QuantizationParams(native.scale, native.zeroPoint)
    }

    companion object {
        /** How many interpreters are open. */
        var open = 0
            private set

        /** The number of threads that was last asked for. */
        var threads: Int? = null
            private set
    }
}
