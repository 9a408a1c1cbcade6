package org.edgemelanoma.desktop

import android.content.ContentResolver
import android.content.Context
import android.content.res.AssetManager
import androidx.test.platform.app.Instrumentation
import androidx.test.platform.app.InstrumentationRegistry
import java.io.File
import kotlin.system.exitProcess
import org.json.JSONObject

/**
 * Runs the shipped Kotlin on this machine: `Main ASSETS GOLDEN PICTURES [RESULTS]`.
 *
 * ASSETS is the bundle's app/src/main/assets, GOLDEN the parent of its golden/, PICTURES the folder
 * that the driver made, RESULTS the JSON file to write. Without RESULTS only the golden vectors are
 * run. What is not as it must be stands on stdout, a line each, and makes the exit code 1.
 */
fun main(arguments: Array<String>) {
    val (assets, golden, pictures) = arguments.map(::File)
    DecodedPixels.folder = pictures.resolve("decoded")
    InstrumentationRegistry.current =
        Instrumentation(DesktopContext(golden), DesktopContext(assets))
    val failures = goldenVectors().toMutableList()
    arguments.getOrNull(3)?.let { results ->
        val resizes = ResizedPictures(pictures)
        failures += resizes.failures() + ClassifierBehaviour(assets).failures()
        val report = JSONObject()
            .put("decoded_otherwise", DecodedPixels.handedOver.size)
            .put("outputs", resizes.outputs(assets))
            .put("milliseconds_12_megapixels", resizes.millisecondsOfLargest())
        File(results).writeText(report.toString(2))
    }
    failures.forEach(::println)
    exitProcess(if (failures.isEmpty()) 0 else 1)
}

/** A context whose assets are the files of [folder]. */
class DesktopContext(folder: File) : Context() {
    override val assets = AssetManager(folder)
    override val contentResolver: ContentResolver get() = error("There is no content.")
}
