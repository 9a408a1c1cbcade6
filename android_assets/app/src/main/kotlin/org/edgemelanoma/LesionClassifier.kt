package org.edgemelanoma

import android.content.res.AssetManager
import android.graphics.Bitmap

/** Which of LiteRT's two runtimes runs the model. */
enum class Runtime(internal val encodings: Set<ElementType>) {
    /** `com.google.ai.edge.litert.CompiledModel`, the current one; int8 models only. */
    COMPILED_MODEL(setOf(ElementType.INT8)),

    /** `org.tensorflow.lite.Interpreter`, the classic one. */
    INTERPRETER(setOf(ElementType.INT8, ElementType.UINT8)),
}

/** What a person is told; a model with one threshold never says [REFER]. */
enum class Answer {
    /** The gate refused the picture: no score, but reasons. */
    NOT_JUDGED,

    /** Below the model's threshold. */
    NOT_FLAGGED,

    /** Between its two thresholds: see a doctor anyway. */
    REFER,

    /** At or above its threshold, the upper one where there are two. */
    FLAGGED,
}

/**
 * A classifier's answer for one picture.
 *
 * A picture that the model cannot judge has neither probability nor decision: say why, by
 * [GateReading.reasons], and ask for another one.
 *
 * @property probability P(malignant), between 0 and 1
 * @property isMalignant whether the output reaches the model's threshold, which is not 0.5
 * @property integer the output as the model gave it, on its own grid, judged or not
 * @property gate none of a model that judges whatever it is given
 * @property answer what to tell a person
 */
data class LesionPrediction(
    val probability: Double?,
    val isMalignant: Boolean?,
    val integer: Int,
    val gate: GateReading?,
    val answer: Answer,
)

/**
 * From a bitmap to P(malignant) and the decision at the operating point of model_info.json.
 *
 * For research; not a medical device: show [ModelInfo.disclaimer] beside every result.
 *
 * Opening reads and hashes the model, so do it off the main thread. Calls may come from several
 * threads and are run one after the other. Close the classifier when it is no longer needed.
 */
class LesionClassifier private constructor(
    /** The bundle's description of models, preprocessing and operating point. */
    val info: ModelInfo,
    /** The model that runs. */
    val model: ModelFile,
    private val integerThreshold: Int,
    private val backend: ModelBackend,
) : AutoCloseable {
    private val isSigned = model.input.type == ElementType.INT8
    private val encoding = if (isSigned) PixelEncoding.INT8 else PixelEncoding.UINT8
    private val preprocessor = LesionPreprocessor(encoding, info.crop)
    private val pixels = BitmapPixels()
    private var isClosed = false

    /**
     * Score [bitmap], whose pixels are stored as [orientation] says: `Orientation.ofExif` for a
     * photo that `BitmapFactory` decoded, `Orientation.ofDegrees` for a camera frame.
     *
     * A bitmap that lives in graphics memory is copied first. Decode without `inSampleSize` and
     * without scaling: the resize here is the one that the network was measured with.
     *
     * @throws EmptyPictureException the bitmap was recycled
     * @throws RuntimeFailureException the runtime failed
     * @throws IllegalStateException the classifier was closed
     */
    @Synchronized
    fun classify(bitmap: Bitmap, orientation: Orientation = Orientation.UPRIGHT): LesionPrediction {
        check(!isClosed) { "This LesionClassifier was closed; open another one." }
        val input = pixels.use(bitmap) { preprocessor.process(it, orientation) }
        val output = runtimeFailures("run ${model.file}") { backend.run(input) }
        val byte = output.score.toInt()
        val integer = if (isSigned) byte else byte and 0xFF
        val gate = output.gate?.let { components ->
            model.gate?.read(components, PhotoMeasures.of(input, encoding))
        }
        val isJudged = gate?.isInDomain ?: true
        val probability = (integer - model.output.zeroPoint) * model.output.scale
        return LesionPrediction(
            probability = probability.takeIf { isJudged },
            isMalignant = (integer >= integerThreshold).takeIf { isJudged },
            integer = integer,
            gate = gate,
            answer =
                when {
                    !isJudged -> Answer.NOT_JUDGED
                    integer < integerThreshold -> Answer.NOT_FLAGGED
                    integer < (model.integerUpper ?: integerThreshold) -> Answer.REFER
                    else -> Answer.FLAGGED
                },
        )
    }

    /** Release the runtime and its memory; further calls do nothing. */
    @Synchronized
    override fun close() {
        if (!isClosed) {
            isClosed = true
            backend.close()
        }
    }

    companion object {
        /** The file for clients that take signed bytes. */
        const val INT8_MODEL = "melanoma_int8.tflite"

        /** Its twin for clients that take raw RGB bytes. */
        const val UINT8_MODEL = "melanoma_uint8.tflite"

        private const val NO_GATE = "The file lacks the gate that model_info.json describes; " +
            "copy both from one bundle."

        /** What the output has to be called; a logit, for one, is no probability. */
        private const val SCORE = "p_malignant"

        /**
         * Open [modelFile] of an app's [assets] (`context.assets`), checked against
         * model_info.json.
         *
         * @param threads how many the runtime may use; the score does not depend on it
         * @throws ModelInfoException model_info.json is missing or cannot be used
         * @throws ChangedModelException the model is missing or another file than it was described
         * @throws WrongTensorException a tensor is not what was described, or not for [runtime]
         * @throws RuntimeFailureException the runtime could not load the model
         */
        @JvmStatic
        @JvmOverloads
        fun open(
            assets: AssetManager,
            runtime: Runtime = Runtime.COMPILED_MODEL,
            threads: Int = 2,
            modelFile: String = INT8_MODEL,
        ): LesionClassifier {
            require(threads >= 1) { "At least one thread is needed, not $threads." }
            val modelAssets = ModelAssets(assets)
            val info = modelAssets.info()
            val model = info.model(modelFile)
            val integerThreshold = usableThreshold(model, runtime)
            val bytes = modelAssets.verified(model)
            val backend = runtimeFailures("load $modelFile") {
                when (runtime) {
                    Runtime.COMPILED_MODEL -> CompiledModelBackend.open(assets, model, threads)
                    Runtime.INTERPRETER -> InterpreterBackend(bytes, threads, model.gate)
                }
            }
            try {
                model.input.mustBe(backend.input, modelFile)
                model.output.mustBe(backend.output, modelFile)
                model.gate?.tensor?.let { gate ->
                    gate.mustBe(backend.gate ?: throw WrongTensorException(NO_GATE), modelFile)
                }
            } catch (wrong: WrongTensorException) {
                backend.close()
                throw wrong
            }
            return LesionClassifier(info, model, integerThreshold, backend)
        }

        /** @throws WrongTensorException [model] is not from 8-bit pixels to an 8-bit score */
        private fun usableThreshold(model: ModelFile, runtime: Runtime): Int {
            val pixels = listOf(1, LesionPreprocessor.SIZE, LesionPreprocessor.SIZE, 3)
            val fits = model.input.shape == pixels && model.input.type in runtime.encodings &&
                model.output.type == model.input.type && model.output.name == SCORE
            return model.integerThreshold?.takeIf { fits } ?: throw WrongTensorException(
                "${model.file} takes ${model.input.type} ${model.input.shape} and gives " +
                    "${model.output.name} as ${model.output.type}; $runtime needs " +
                    "${runtime.encodings.joinToString(" or ")} $pixels and $SCORE: " +
                    "choose $INT8_MODEL.",
            )
        }

        private inline fun <T> runtimeFailures(task: String, work: () -> T): T =
            try {
                work()
            } catch (known: LesionException) {
                throw known
            } catch (failure: Exception) {
                // LiteRtException, IllegalArgumentException and IllegalStateException occur.
                throw RuntimeFailureException("LiteRT could not $task: ${failure.message}", failure)
            } catch (missing: LinkageError) {
                throw RuntimeFailureException("LiteRT's library is not for this device.", missing)
            }
    }
}
