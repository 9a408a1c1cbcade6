package org.edgemelanoma.desktop

import android.content.res.AssetManager
import android.graphics.Bitmap
import java.io.File
import java.nio.ByteBuffer
import org.edgemelanoma.ArgbPixels
import org.edgemelanoma.Crop
import org.edgemelanoma.LesionClassifier
import org.edgemelanoma.LesionPreprocessor
import org.edgemelanoma.Orientation
import org.edgemelanoma.PixelEncoding
import org.edgemelanoma.Runtime
import org.json.JSONArray
import org.json.JSONObject

/** The driver's pictures of odd sizes: stored pixels, orientation, crop, hash of the result. */
class ResizedPictures(folder: File) {
    private class Picture(folder: File, json: JSONObject) {
        private val file = folder.resolve(json.getString("file"))
        val width = json.getInt("width")
        val height = json.getInt("height")
        val orientation = Orientation.ofExif(json.getInt("exif_orientation"))
        val crop = Crop.valueOf(json.getString("crop").uppercase())
        val resizedSha256: String = json.getString("resized_sha256")

        /** Big-endian 0xAARRGGBB. */
        fun pixels() = IntArray(width * height).also {
            ByteBuffer.wrap(file.readBytes()).asIntBuffer().get(it)
        }

        override fun toString() = "${file.name}, ${width}x$height, $orientation, $crop"
    }

    private val pictures = JSONArray(folder.resolve("pictures.json").readText()).let { list ->
        List(list.length()) { Picture(folder, list.getJSONObject(it)) }
    }

    /** Pictures whose resized pixels are not those of Python. */
    fun failures(): List<String> {
        val preprocessors = Crop.entries.associateWith {
            LesionPreprocessor(PixelEncoding.UINT8, it)
        }
        return pictures.mapNotNull { picture ->
            val source = ArgbPixels(picture.pixels(), picture.width, picture.height)
            val resized = preprocessors.getValue(picture.crop).process(source, picture.orientation)
            "resized otherwise: $picture".takeIf { sha256(resized) != picture.resizedSha256 }
        }
    }

    /** What the shipped classifier gives, by model: integers and decisions in order. */
    fun outputs(assets: File): JSONObject {
        val signed = outputsOf(assets, Runtime.COMPILED_MODEL, LesionClassifier.INT8_MODEL)
        val unsigned = outputsOf(assets, Runtime.INTERPRETER, LesionClassifier.UINT8_MODEL)
        return JSONObject().put("int8", signed).put("uint8", unsigned)
    }

    private fun outputsOf(assets: File, runtime: Runtime, model: String): JSONObject =
        LesionClassifier.open(AssetManager(assets), runtime, modelFile = model).use { classifier ->
            val predictions = pictures.map { picture ->
                val bitmap = Bitmap.createBitmap(
                    picture.pixels(), picture.width, picture.height, Bitmap.Config.HARDWARE,
                )
                classifier.classify(bitmap, picture.orientation)
            }
            JSONObject()
                .put("integers", JSONArray(predictions.map { it.integer }))
                .put("malignant", JSONArray(predictions.map { it.isMalignant }))
                .put("refused", JSONArray(predictions.map { it.gate?.isInDomain == false }))
        }

    /** How long the largest picture takes once the code is warm: the best of five. */
    fun millisecondsOfLargest(): Double {
        val picture = pictures.maxBy { it.width.toLong() * it.height }
        val source = ArgbPixels(picture.pixels(), picture.width, picture.height)
        val preprocessor = LesionPreprocessor(PixelEncoding.INT8)
        return (1..5).minOf {
            val start = System.nanoTime()
            preprocessor.process(source, picture.orientation)
            (System.nanoTime() - start) / 1e6
        }
    }
}
