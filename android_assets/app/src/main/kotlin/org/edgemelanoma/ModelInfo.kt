package org.edgemelanoma

import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

/** The element types of the shipped models' tensors. */
enum class ElementType { INT8, UINT8, FLOAT32 }

/**
 * A model's input or output as model_info.json describes it: real = (integer - [zeroPoint]) x
 * [scale].
 *
 * @property scale 0 for a float tensor
 */
data class TensorInfo(
    val name: String,
    val shape: List<Int>,
    val type: ElementType,
    val scale: Double,
    val zeroPoint: Int,
)

/**
 * A model's second output, and up to which distance a picture is one that the model can judge.
 *
 * @property oneSided how many of the last components count only where they are above zero
 * @property limit the largest squared distance that is judged
 * @property integerLimit the same on the sum of squared integers
 */
data class GateInfo(
    val tensor: TensorInfo,
    val oneSided: Int,
    val limit: Double,
    val integerLimit: Long,
) {
    /** Where a picture lies whose components are [bytes]. */
    fun read(bytes: ByteArray, measures: PhotoMeasures): GateReading {
        val first = bytes.size - oneSided
        val sum = bytes.indices.sumOf { index ->
            val value = bytes[index] - tensor.zeroPoint
            if (index >= first && value < 0) 0L else value.toLong() * value
        }
        val isInDomain = sum <= integerLimit
        val faults = measures.faults()
        val reasons = if (isInDomain) faults else listOf(PhotoFault.UNLIKE) + faults
        return GateReading(sum * tensor.scale * tensor.scale, limit, isInDomain, reasons, measures)
    }
}

/**
 * Whether a picture is one that the model can judge, and what to do better.
 *
 * @property distance squared, from the training pictures
 * @property reasons never empty where the picture is not judged
 * @property measures what they were found by
 */
data class GateReading(
    val distance: Double,
    val limit: Double,
    val isInDomain: Boolean,
    val reasons: List<PhotoFault>,
    val measures: PhotoMeasures,
)

/**
 * One .tflite file of the bundle.
 *
 * @property sha256 of the whole file, 64 hexadecimal digits
 * @property threshold the operating point as a probability
 * @property integerThreshold the same on the output's integers; none for a float model
 * @property integerUpper where the model gives three answers, the integer from which on it flags
 * @property gate none of a model that judges whatever it is given
 */
data class ModelFile(
    val file: String,
    val sha256: String,
    val input: TensorInfo,
    val output: TensorInfo,
    val threshold: Double,
    val integerThreshold: Int?,
    val gate: GateInfo?,
    val integerUpper: Int? = null,
)

/**
 * What the model does at its threshold on one set of pictures. Recall and specificity are undefined
 * where a set has no picture of the class.
 */
data class Measurement(
    val set: String,
    val images: Int,
    val recall: Double?,
    val recallInterval: ClosedFloatingPointRange<Double>?,
    val specificity: Double?,
    val specificityInterval: ClosedFloatingPointRange<Double>?,
)

/**
 * The bundle's model_info.json.
 *
 * @property crop what of the upright picture the network sees
 * @property minRecall the recall that the threshold was chosen for, on pictures of validation
 * @property counts the bins of [PictureCounts]; none of a model without a gate
 * @property disclaimer to be shown wherever a result is shown
 */
data class ModelInfo(
    val models: List<ModelFile>,
    val crop: Crop,
    val minRecall: Double,
    val measurements: List<Measurement>,
    val disclaimer: String,
    val counts: CountRules? = null,
) {
    /**
     * The entry of a model file.
     *
     * @throws ModelInfoException [file] is not among the models
     */
    fun model(file: String): ModelFile =
        models.firstOrNull { it.file == file } ?: throw ModelInfoException(
            "model_info.json does not describe $file but ${models.joinToString { it.file }}; " +
                "take model and model_info.json from one bundle.",
        )

    companion object {
        /** The schema that this code reads. */
        const val SCHEMA = 1

        /**
         * Read the text of model_info.json.
         *
         * @throws ModelInfoException the text is no JSON, lacks something, or asks for a
         *   preprocessing that this code does not do
         */
        fun parse(text: String): ModelInfo =
            try {
                read(JSONObject(text))
            } catch (error: JSONException) {
                throw ModelInfoException(
                    "model_info.json cannot be used (${error.message}); take it from the bundle.",
                    error,
                )
            }

        private fun read(json: JSONObject): ModelInfo {
            expect("schema", SCHEMA.toString(), json.getInt("schema").toString())
            val preprocessing = json.getJSONObject("preprocessing")
            expect("width", LesionPreprocessor.SIZE.toString(), preprocessing.getString("width"))
            expect("height", LesionPreprocessor.SIZE.toString(), preprocessing.getString("height"))
            expect("colour_order", "RGB", preprocessing.getString("colour_order"))
            expect("resize_id", LesionPreprocessor.RESIZE_ID, preprocessing.getString("resize_id"))
            val point = json.getJSONObject("operating_point")
            return ModelInfo(
                models = json.getJSONArray("models").objects().map(::readModel),
                crop = readEnum("crop", preprocessing.getString("crop"), Crop.entries),
                minRecall = point.getDouble("min_recall"),
                measurements = point.getJSONArray("measured").objects().map(::readMeasurement),
                disclaimer = json.getString("disclaimer"),
                counts = json.unlessNull("counts") { readCounts(getJSONObject(it)) },
            )
        }

        private fun readModel(json: JSONObject): ModelFile {
            val threshold = json.getJSONObject("threshold")
            return ModelFile(
                file = json.getString("file"),
                sha256 = json.getString("sha256"),
                input = readTensor(json.getJSONObject("input")),
                output = readTensor(json.getJSONObject("output")),
                threshold = threshold.getDouble("float"),
                integerThreshold = threshold.unlessNull("integer") { getInt(it) },
                integerUpper =
                    threshold
                        .unlessNull("upper") { getJSONObject(it) }
                        ?.unlessNull("integer") { getInt(it) },
                gate = json.unlessNull("gate") { readGate(getJSONObject(it)) },
            )
        }

        private fun readGate(json: JSONObject): GateInfo {
            val tensor = readTensor(json)
            expect("dtype of the gate", "INT8", tensor.type.name)
            return GateInfo(
                tensor = tensor,
                oneSided = json.getInt("one_sided"),
                limit = json.getDouble("limit"),
                integerLimit = json.getLong("limit_integer"),
            )
        }

        private fun readTensor(json: JSONObject): TensorInfo {
            val shape = json.getJSONArray("shape")
            return TensorInfo(
                name = json.getString("name"),
                shape = List(shape.length(), shape::getInt),
                type = readEnum("dtype", json.getString("dtype"), ElementType.entries),
                scale = json.unlessNull("scale") { getDouble(it) } ?: 0.0,
                zeroPoint = json.unlessNull("zero_point") { getInt(it) } ?: 0,
            )
        }

        private fun readCounts(json: JSONObject): CountRules {
            val edges = json.getJSONObject("edges")
            val byName = CountRules.MEASURES.associateWith { name ->
                edges.getJSONArray(name).let { list -> List(list.length(), list::getInt) }
            }
            return CountRules(json.getString("reference"), byName)
        }

        private fun readMeasurement(json: JSONObject) =
            Measurement(
                set = json.getString("set"),
                images = json.getInt("images"),
                recall = json.unlessNull("recall") { getDouble(it) },
                recallInterval = json.unlessNull("recall_interval") { getJSONArray(it).range() },
                specificity = json.unlessNull("specificity") { getDouble(it) },
                specificityInterval =
                    json.unlessNull("specificity_interval") { getJSONArray(it).range() },
            )

        private fun <T : Enum<T>> readEnum(key: String, word: String, values: List<T>): T =
            values.firstOrNull { it.name.equals(word, ignoreCase = true) }
                ?: throw ModelInfoException(
                    "model_info.json has the $key $word, which this code does not know; " +
                        "take the code from the same bundle.",
                )

        private fun expect(key: String, expected: String, actual: String) {
            if (expected != actual) {
                throw ModelInfoException(
                    "model_info.json has the $key $actual, this code does $expected; " +
                        "take the code from the same bundle.",
                )
            }
        }

        private fun JSONArray.objects(): List<JSONObject> = List(length(), ::getJSONObject)

        private fun JSONArray.range(): ClosedFloatingPointRange<Double> = getDouble(0)..getDouble(1)

        private fun <T> JSONObject.unlessNull(key: String, read: JSONObject.(String) -> T): T? =
            if (isNull(key)) null else read(key)
    }
}
