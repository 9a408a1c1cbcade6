package org.edgemelanoma

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor

/** The classic interpreter with XNNPACK kernels; it takes the int8 and the uint8 file. */
internal class InterpreterBackend(model: ByteBuffer, threads: Int) : ModelBackend {
    private val interpreter =
        Interpreter(model, Interpreter.Options().setNumThreads(threads).setUseXNNPACK(true))
    private val pixelBuffer =
        ByteBuffer.allocateDirect(LesionPreprocessor.BYTES).order(ByteOrder.nativeOrder())
    private val scoreBuffer = ByteBuffer.allocateDirect(1).order(ByteOrder.nativeOrder())
    override val input = interpreter.getInputTensor(0).loaded()
    override val output = interpreter.getOutputTensor(0).loaded()

    override fun run(pixels: ByteArray): Byte {
        pixelBuffer.rewind()
        pixelBuffer.put(pixels).rewind()
        scoreBuffer.rewind()
        interpreter.run(pixelBuffer, scoreBuffer)
        return scoreBuffer.get(0)
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
