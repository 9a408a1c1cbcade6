package org.edgemelanoma

/** A runtime with one loaded model of one 8-bit input, an 8-bit score and perhaps a gate. */
internal interface ModelBackend : AutoCloseable {
    /** What the loaded file says of its input. */
    val input: LoadedTensor

    /** What the loaded file says of its output. */
    val output: LoadedTensor

    /** What the loaded file says of its gate; none where none was asked for. */
    val gate: LoadedTensor?

    /** The outputs for one picture of [LesionPreprocessor.BYTES] bytes. */
    fun run(pixels: ByteArray): ModelOutput
}

/** The byte of the score, and the gate's components. */
internal class ModelOutput(val score: Byte, val gate: ByteArray?)

/**
 * A tensor of a loaded model.
 *
 * @property quantization scale and zero point, where the runtime tells them
 */
internal data class LoadedTensor(
    val shape: List<Int>,
    val type: String,
    val quantization: Pair<Float, Int>?,
)

/** @throws WrongTensorException the loaded tensor is not the one that model_info.json describes */
internal fun TensorInfo.mustBe(loaded: LoadedTensor, file: String) {
    val same = loaded.shape == shape && loaded.type == type.name &&
        (loaded.quantization ?: (scale.toFloat() to zeroPoint)) == (scale.toFloat() to zeroPoint)
    if (!same) {
        throw WrongTensorException(
            "The tensor $name of $file is ${loaded.type} ${loaded.shape} " +
                "${loaded.quantization ?: ""}, model_info.json says ${type.name} $shape " +
                "${scale.toFloat() to zeroPoint}; copy both from one bundle.",
        )
    }
}
