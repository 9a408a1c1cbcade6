package org.edgemelanoma.desktop

import com.sun.jna.Memory
import com.sun.jna.NativeLibrary
import com.sun.jna.Pointer
import com.sun.jna.ptr.PointerByReference

/** A tensor as LiteRT's C API describes it. */
class NativeTensor(
    val name: String,
    val elementType: Int,
    val shape: List<Int>,
    val scale: Float,
    val zeroPoint: Int,
) {
    val byteCount: Int get() = shape.fold(1, Int::times) * if (elementType == FLOAT32) 4 else 1

    companion object {
        const val FLOAT32 = 1
        const val UINT8 = 3
        const val INT8 = 9
    }
}

/**
 * A model of one input and one or two outputs in libLiteRt.so, the native library of the ai-edge-litert
 * wheel, through its C API: what CompiledModel is on a phone.
 */
class NativeModel(bytes: ByteArray) : AutoCloseable {
    class Refused(message: String) : Exception(message)

    private val modelBytes = Memory(bytes.size.toLong()).apply { write(0, bytes, 0, bytes.size) }
    private val environment = make { call("LiteRtCreateEnvironment", 0, Pointer.NULL, it) }
    private val model = make {
        call("LiteRtCreateModelFromBuffer", environment, modelBytes, modelBytes.size(), it)
    }
    private val signature = make { call("LiteRtGetModelSignature", model, 0L, it) }
    val input = describe("Input", 0)
    val outputs = List(countOutputs()) { describe("Output", it) }
    private val compiled = make { compiled ->
        val options = make { call("LiteRtCreateOptions", it) }
        call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
        call("LiteRtCreateCompiledModel", environment, model, options, compiled)
        call("LiteRtDestroyOptions", options)
    }
    private val inputBuffer = bufferFor("Input", 0)
    private val outputBuffers = outputs.indices.map { bufferFor("Output", it) }

    /** The bytes of each output for the input's. */
    fun run(pixels: ByteArray): List<ByteArray> {
        locked(inputBuffer, WRITE) { it.write(0, pixels, 0, pixels.size) }
        val inputs = Memory(Long.SIZE_BYTES.toLong()).apply { setPointer(0, inputBuffer) }
        val count = outputs.size.toLong()
        val handles = Memory(Long.SIZE_BYTES * count)
        outputBuffers.forEachIndexed { place, buffer ->
            handles.setPointer(Long.SIZE_BYTES.toLong() * place, buffer)
        }
        call("LiteRtRunCompiledModel", compiled, 0L, 1L, inputs, count, handles)
        return outputs.zip(outputBuffers) { output, buffer ->
            locked(buffer, READ) { it.getByteArray(0, output.byteCount) }
        }
    }

    override fun close() {
        destroy("LiteRtDestroyTensorBuffer", inputBuffer)
        outputBuffers.forEach { destroy("LiteRtDestroyTensorBuffer", it) }
        destroy("LiteRtDestroyCompiledModel", compiled)
        destroy("LiteRtDestroyModel", model)
        destroy("LiteRtDestroyEnvironment", environment)
    }

    private fun countOutputs(): Int {
        val count = Memory(Long.SIZE_BYTES.toLong()).apply { clear() }
        call("LiteRtGetNumSignatureOutputs", signature, count)
        return count.getLong(0).toInt()
    }

    private fun tensor(side: String, index: Int) = make {
        call("LiteRtGetSignature${side}TensorByIndex", signature, index.toLong(), it)
    }

    private fun rankedType(side: String, index: Int) =
        Memory(RANKED_TYPE_BYTES).apply {
            clear()
            call("LiteRtGetRankedTensorType", tensor(side, index), this)
        }

    private fun describe(side: String, index: Int): NativeTensor {
        val name = make { call("LiteRtGetSignature${side}Name", signature, index.toLong(), it) }
        val type = rankedType(side, index)
        // Element type, then the rank in the lower 7 bits, then the dimensions.
        val rank = type.getInt(4) and 0x7F
        val quantization = Memory(16).apply { clear() }
        if (type.getInt(0) != NativeTensor.FLOAT32) {
            call("LiteRtGetPerTensorQuantization", tensor(side, index), quantization)
        }
        return NativeTensor(
            name = name.getString(0),
            elementType = type.getInt(0),
            shape = List(rank) { type.getInt(8L + 4 * it) },
            scale = quantization.getFloat(0),
            zeroPoint = quantization.getLong(8).toInt(),
        )
    }

    private fun bufferFor(side: String, index: Int): Pointer {
        val needs = make {
            val place = index.toLong()
            call("LiteRtGetCompiledModel${side}BufferRequirements", compiled, 0L, place, it)
        }
        val type = rankedType(side, index)
        return make {
            call("LiteRtCreateManagedTensorBufferFromRequirements", environment, type, needs, it)
        }
    }

    private fun <T> locked(buffer: Pointer, mode: Int, work: (Pointer) -> T): T {
        val memory = make { call("LiteRtLockTensorBuffer", buffer, it, mode) }
        return work(memory).also { call("LiteRtUnlockTensorBuffer", buffer) }
    }

    private fun make(create: (PointerByReference) -> Unit): Pointer =
        PointerByReference().also(create).value

    private fun call(function: String, vararg arguments: Any?) {
        val status = library.getFunction(function).invokeInt(arguments)
        if (status != 0) throw Refused("$function gave the status $status.")
    }

    private fun destroy(function: String, handle: Pointer) =
        library.getFunction(function).invoke(arrayOf(handle))

    companion object {
        private const val CPU = 1
        private const val READ = 0
        private const val WRITE = 1
        private const val RANKED_TYPE_BYTES = 72L
        private val library by lazy {
            NativeLibrary.getInstance(System.getProperty("litert.library"))
        }
    }
}
