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
 * One .tflite file of the bundle.
 *
 * @property sha256 of the whole file, 64 hexadecimal digits
 * @property threshold the operating point as a probability
 * @property integerThreshold the same on the output's integers; none for a float model
 */
data class ModelFile(
    val file: String,
    val sha256: String,
    val input: TensorInfo,
    val output: TensorInfo,
    val threshold: Double,
    val integerThreshold: Int?,
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
 * @property disclaimer to be shown wherever a result is shown
 */
data class ModelInfo(
    val models: List<ModelFile>,
    val crop: Crop,
    val minRecall: Double,
    val measurements: List<Measurement>,
    val disclaimer: String,
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
