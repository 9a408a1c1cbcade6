package org.edgemelanoma.sample

import android.net.Uri
import android.os.Bundle
import android.view.View
import android.widget.Button
import android.widget.ImageView
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.PickVisualMediaRequest
import androidx.activity.result.contract.ActivityResultContracts.PickVisualMedia
import java.io.IOException
import java.util.concurrent.Executors
import org.edgemelanoma.Answer
import org.edgemelanoma.LesionClassifier
import org.edgemelanoma.LesionException
import org.edgemelanoma.LesionPrediction

/**
 * Lets a person choose a photo and shows P(malignant), the decision at the shipped threshold, how
 * good that threshold was measured to be, and the disclaimer. The photo stays on the device.
 */
class MainActivity : ComponentActivity() {
    /** Loads the model and scores, one after the other, off the main thread. */
    private val worker = Executors.newSingleThreadExecutor()

    /** Touched by [worker] alone. */
    private var classifier: LesionClassifier? = null

    private val pickPhoto = registerForActivityResult(PickVisualMedia()) { uri ->
        if (uri != null) score(uri)
    }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_main)
        findViewById<Button>(R.id.choose).setOnClickListener {
            pickPhoto.launch(PickVisualMediaRequest(PickVisualMedia.ImageOnly))
        }
        worker.execute(::load)
    }

    override fun onDestroy() {
        worker.execute { classifier?.close() }
        worker.shutdown()
        super.onDestroy()
    }

    private fun load() {
        try {
            val opened = LesionClassifier.open(assets)
            classifier = opened
            onScreen {
                findViewById<TextView>(R.id.disclaimer).text = opened.info.disclaimer
                findViewById<TextView>(R.id.operating_point).text = describe(opened.info)
                findViewById<Button>(R.id.choose).isEnabled = true
                showResult(getString(R.string.ready))
            }
        } catch (broken: LesionException) {
            onScreen { showResult(broken.message.orEmpty()) }
        }
    }

    private fun score(uri: Uri) {
        showResult(getString(R.string.scoring))
        worker.execute {
            val classifier = classifier ?: return@execute
            try {
                val photo = readPhoto(contentResolver, uri)
                val prediction = classifier.classify(photo.bitmap, photo.orientation)
                val text = describe(prediction, classifier.model.threshold)
                onScreen {
                    findViewById<ImageView>(R.id.photo).apply {
                        setImageBitmap(photo.upright(PREVIEW_PIXELS))
                        visibility = View.VISIBLE
                    }
                    showResult(text)
                }
            } catch (unreadable: IOException) {
                onScreen { showResult(getString(R.string.unreadable_photo, unreadable.message)) }
            } catch (failure: LesionException) {
                onScreen { showResult(failure.message.orEmpty()) }
            }
        }
    }

    private fun describe(prediction: LesionPrediction, threshold: Double): String {
        val reasons = prediction.gate?.reasons.orEmpty()
        val advice = reasons.joinToString(" ") { "${it.word}: ${it.advice}." }
        val text =
            when (prediction.answer) {
                Answer.NOT_JUDGED -> return getString(R.string.not_judged, advice)
                Answer.NOT_FLAGGED -> R.string.not_flagged
                Answer.REFER -> R.string.refer
                Answer.FLAGGED -> R.string.flagged
            }
        return "${getString(text, prediction.probability, threshold)} $advice".trim()
    }

    private fun showResult(text: String) {
        findViewById<TextView>(R.id.result).text = text
    }

    private fun onScreen(show: () -> Unit) = runOnUiThread { if (!isDestroyed) show() }

    private companion object {
        /** The longer side of the picture on the screen; the network gets the whole photo. */
        const val PREVIEW_PIXELS = 1024
    }
}
