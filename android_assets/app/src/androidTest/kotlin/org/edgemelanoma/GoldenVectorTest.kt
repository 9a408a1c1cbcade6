package org.edgemelanoma

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import org.json.JSONObject
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test
import org.junit.runner.RunWith

/**
 * The bundle's golden vectors on this device: decoded pixels, resized pixels and model outputs,
 * each equal to what the network was measured with.
 *
 * A device's JPEG decoder may differ by some grey levels from the one that made the vectors. A JPEG
 * that is decoded otherwise says nothing about what comes after the decoder, so it is left out here
 * and its file named in the log; PNG pictures have to be equal.
 */
@RunWith(AndroidJUnit4::class)
class GoldenVectorTest {
    private val instrumentation = InstrumentationRegistry.getInstrumentation()
    private val golden = JSONObject(asset("golden.json").toString(Charsets.UTF_8))
    private val info = ModelAssets(instrumentation.targetContext.assets).info()

    @Test
    fun pngPicturesAreDecodedEqually() {
        val different = vectors().filter { it.file.endsWith(".png") && !it.isDecodedEqually() }
        assertTrue("decoded otherwise: ${different.map { it.file }}", different.isEmpty())
    }

    @Test
    fun resizedPixelsAreEqual() {
        val preprocessor = LesionPreprocessor(PixelEncoding.UINT8, info.crop)
        val pixels = BitmapPixels()
        val different = comparable().filterNot { vector ->
            val resized = pixels.use(vector.bitmap) { preprocessor.process(it, vector.orientation) }
            ModelAssets.sha256(resized) == vector.json.getString("resized_sha256")
        }
        assertTrue("resized otherwise: ${different.map { it.file }}", different.isEmpty())
    }

    @Test
    fun turnedPicturesAreTurnedBack() {
        val preprocessor = LesionPreprocessor(PixelEncoding.UINT8, info.crop)
        val different = vectors().filter { it.isUprightPng }.flatMap { vector ->
            Orientation.entries.filterNot { orientation ->
                val resized = preprocessor.process(vector.storedAs(orientation), orientation)
                ModelAssets.sha256(resized) == vector.json.getString("resized_sha256")
            }.map { "${vector.file} as $it" }
        }
        assertTrue("turned otherwise: $different", different.isEmpty())
    }

    @Test
    fun measuresAreEqual() {
        val preprocessor = LesionPreprocessor(PixelEncoding.UINT8, info.crop)
        val pixels = BitmapPixels()
        val different = comparable().mapNotNull { vector ->
            val resized = pixels.use(vector.bitmap) { preprocessor.process(it, vector.orientation) }
            val found = PhotoMeasures.of(resized, PixelEncoding.UINT8)
            val told = vector.json.getJSONObject("measures")
            val expected = PhotoMeasures(
                light = told.getInt("light"),
                middle = told.getInt("middle"),
                burnt = told.getInt("burnt"),
                clipped = told.getInt("clipped"),
                detail = told.getInt("detail"),
                contrast = told.getInt("contrast"),
                area = told.getInt("area"),
                offset = told.getInt("offset"),
                red = told.getInt("red"),
                blue = told.getInt("blue"),
                colour = told.getInt("colour"),
            )
            "${vector.file}: $found instead of $expected".takeIf { found != expected }
        }
        assertTrue("measured otherwise: $different", different.isEmpty())
    }

    @Test
    fun countsAreEqual() {
        val rules = info.counts ?: return
        LesionClassifier.open(instrumentation.targetContext.assets).use { classifier ->
            val different = comparable().mapNotNull { vector ->
                val found = rules.binsOf(classifier.classify(vector.bitmap, vector.orientation))
                val told = vector.json.getJSONObject("bins")
                val expected = rules.edges.keys.filter(told::has).associateWith(told::getInt)
                "${vector.file}: $found instead of $expected".takeIf { found != expected }
            }
            assertTrue("counted otherwise: $different", different.isEmpty())
        }
    }

    @Test
    fun compiledModelGivesTheSameIntegers() =
        outputsAreEqual(Runtime.COMPILED_MODEL, LesionClassifier.INT8_MODEL, "int8_output")

    @Test
    fun interpreterGivesTheSameIntegers() =
        outputsAreEqual(Runtime.INTERPRETER, LesionClassifier.INT8_MODEL, "int8_output")

    @Test
    fun unsignedTwinGivesTheSameIntegers() =
        outputsAreEqual(Runtime.INTERPRETER, LesionClassifier.UINT8_MODEL, "uint8_output")

    private fun outputsAreEqual(runtime: Runtime, modelFile: String, key: String) {
        val assets = instrumentation.targetContext.assets
        assumeTrue("the app is without $modelFile", modelFile in assets.list("").orEmpty())
        LesionClassifier.open(assets, runtime, modelFile = modelFile).use { classifier ->
            val different = comparable().mapNotNull { vector ->
                val expected = vector.json.getInt(key)
                val found = classifier.classify(vector.bitmap, vector.orientation)
                val actual = found.integer
                val distance = vector.json.opt("gate_distance") as? Number
                val sameGate = found.gate == null || found.gate.distance == distance?.toDouble()
                "${vector.file}: $actual, ${found.gate} instead of $expected, $distance"
                    .takeIf { actual != expected || !sameGate }
            }
            assertTrue("other outputs: $different", different.isEmpty())
        }
    }

    private class Vector(val json: JSONObject, val bitmap: Bitmap) {
        val file: String = json.getString("file")
        val orientation = Orientation.ofExif(json.getInt("exif_orientation"))

        /** Whether its bitmap is the same on every device and stands upright. */
        val isUprightPng = file.endsWith(".png") && orientation == Orientation.UPRIGHT

        /** The upright picture as a file of another orientation would hold it. */
        fun storedAs(other: Orientation): PixelSource {
            val width = bitmap.width
            val height = bitmap.height
            val upright = IntArray(width * height)
            bitmap.getPixels(upright, 0, width, 0, 0, width, height)
            val storedWidth = if (other.exif >= 5) height else width
            val storedHeight = if (other.exif >= 5) width else height
            val stored = IntArray(width * height) { index ->
                val column = index % storedWidth
                val row = index / storedWidth
                val right = storedWidth - 1 - column
                val below = storedHeight - 1 - row
                // EXIF tells which sides the stored picture's first row and first column are.
                when (other.exif) {
                    1 -> upright[row * width + column]
                    2 -> upright[row * width + right]
                    3 -> upright[below * width + right]
                    4 -> upright[below * width + column]
                    5 -> upright[column * width + row]
                    6 -> upright[column * width + below]
                    7 -> upright[right * width + below]
                    else -> upright[right * width + row]
                }
            }
            return ArgbPixels(stored, storedWidth, storedHeight)
        }

        fun isDecodedEqually(): Boolean =
            ModelAssets.sha256(uprightRgb()) == json.getString("decoded_sha256")

        /** The upright picture as bytes: height x width x 3. */
        private fun uprightRgb(): ByteArray =
            BitmapPixels().use(bitmap) { source ->
                val strips = UprightStrips(Crop.NONE).apply { aim(source, orientation) }
                val rgb = ByteArray(strips.width * strips.height * 3)
                var byte = 0
                for (top in 0 until strips.height step UprightStrips.ROWS) {
                    for (row in 0 until strips.read(top)) {
                        var at = strips.origin + row * strips.rowStep
                        repeat(strips.width) {
                            rgb[byte++] = (strips.pixels[at] shr 16).toByte()
                            rgb[byte++] = (strips.pixels[at] shr 8).toByte()
                            rgb[byte++] = strips.pixels[at].toByte()
                            at += strips.columnStep
                        }
                    }
                }
                rgb
            }
    }

    /** Names of the pictures that are left out here. */
    fun decodedOtherwise(): List<String> =
        vectors().filterNot { it.isDecodedEqually() }.map { it.file }

    private fun comparable(): List<Vector> {
        val (equal, different) = vectors().partition { it.isDecodedEqually() }
        different.forEach { println("${it.file} is decoded otherwise here and left out") }
        assertTrue("no picture is decoded equally", equal.isNotEmpty())
        return equal
    }

    private fun vectors(): List<Vector> {
        val options = BitmapFactory.Options().apply {
            inScaled = false
            inPreferredConfig = Bitmap.Config.ARGB_8888
        }
        val list = golden.getJSONArray("vectors")
        return List(list.length(), list::getJSONObject).map { json ->
            val file = json.getString("file")
            val bitmap = BitmapFactory.decodeStream(asset(file).inputStream(), null, options)
            Vector(json, requireNotNull(bitmap) { "$file cannot be decoded" })
        }
    }

    private fun asset(file: String): ByteArray =
        instrumentation.context.assets.open("golden/$file").use { it.readBytes() }
}
