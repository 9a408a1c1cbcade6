package org.edgemelanoma

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor

/** The classic interpreter with XNNPACK kernels; it takes the int8 and the uint8 file. */
internal class InterpreterBackend(model: ByteBuffer, threads: Int, gate: GateInfo?) : ModelBackend {
    private val interpreter =
        Interpreter(model, Interpreter.Options().setNumThreads(threads).setUseXNNPACK(true))
    private val pixelBuffer =
        ByteBuffer.allocateDirect(LesionPreprocessor.BYTES).order(ByteOrder.nativeOrder())
    private val scoreBuffer = ByteBuffer.allocateDirect(1).order(ByteOrder.nativeOrder())
    private val components = ByteArray(gate?.tensor?.shape?.last() ?: 0)
    private val gateBuffer =
        ByteBuffer.allocateDirect(components.size).order(ByteOrder.nativeOrder())
    private val outputs = mapOf<Int, Any>(0 to scoreBuffer) +
        (if (gate == null) emptyMap() else mapOf(1 to gateBuffer))
    override val input = interpreter.getInputTensor(0).loaded()
    override val output = interpreter.getOutputTensor(0).loaded()
    override val gate =
        if (gate == null || interpreter.getOutputTensorCount() < 2) null
        else interpreter.getOutputTensor(1).loaded()

    override fun run(pixels: ByteArray): ModelOutput {
        pixelBuffer.rewind()
        pixelBuffer.put(pixels).rewind()
        scoreBuffer.rewind()
        gateBuffer.rewind()
        interpreter.runForMultipleInputsOutputs(arrayOf<Any>(pixelBuffer), outputs)
        gateBuffer.rewind()
        gateBuffer.get(components)
        return ModelOutput(scoreBuffer.get(0), gate?.let { components })
    }

    override fun close() = interpreter.close()

    private fun Tensor.loaded(): LoadedTensor {
        val parameters = quantizationParams()
        return LoadedTensor(
            shape().toList(),
            dataType().name,
            quantization = parameters.scale to parameters.zeroPoint,
        )
    }
}
