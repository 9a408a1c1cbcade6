package org.edgemelanoma.sample

import android.app.Application
import android.graphics.Bitmap
import android.net.Uri
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.LiveData
import androidx.lifecycle.MutableLiveData
import java.io.IOException
import java.util.concurrent.Executors
import org.edgemelanoma.Answer
import org.edgemelanoma.LesionClassifier
import org.edgemelanoma.LesionException
import org.edgemelanoma.LesionPrediction

/** What the screen shows; [isReady] once the model is open. */
internal data class Screen(
    val result: String = "",
    val isReady: Boolean = false,
    val disclaimer: String = "",
    val operatingPoint: String = "",
    val preview: Bitmap? = null,
)

/**
 * Opens the model once and keeps the last answer while the phone is turned: an activity is made anew
 * then, this is not.
 */
internal class LesionViewModel(application: Application) : AndroidViewModel(application) {
    private val shown = MutableLiveData(Screen())

    /** For an activity to observe. */
    val screen: LiveData<Screen> get() = shown

    /** Loads the model and scores, one after the other, off the main thread. */
    private val worker = Executors.newSingleThreadExecutor()

    /** Touched by [worker] alone, as [latest] is. */
    private var classifier: LesionClassifier? = null
    private var latest = Screen()

    init {
        worker.execute(::load)
    }

    /** Scores the photo at [uri]; the answer comes by [screen]. */
    fun score(uri: Uri) = worker.execute {
        val classifier = classifier ?: return@execute
        show { copy(result = text(R.string.scoring), preview = null) }
        try {
            val photo = readPhoto(getApplication<Application>().contentResolver, uri)
            val prediction = classifier.classify(photo.bitmap, photo.orientation)
            val told = describe(prediction, classifier.model.threshold)
            show { copy(result = told, preview = photo.upright(PREVIEW_PIXELS)) }
        } catch (unreadable: IOException) {
            show { copy(result = text(R.string.unreadable_photo, unreadable.message)) }
        } catch (failure: LesionException) {
            show { copy(result = failure.message.orEmpty()) }
        }
    }

    override fun onCleared() {
        worker.execute { classifier?.close() }
        worker.shutdown()
    }

    private fun load() {
        try {
            val opened = LesionClassifier.open(getApplication<Application>().assets)
            classifier = opened
            show {
                Screen(
                    result = text(R.string.ready),
                    isReady = true,
                    disclaimer = opened.info.disclaimer,
                    operatingPoint = getApplication<Application>().describe(opened.info),
                )
            }
        } catch (broken: LesionException) {
            show { copy(result = broken.message.orEmpty()) }
        }
    }

    private fun describe(prediction: LesionPrediction, threshold: Double): String {
        val reasons = prediction.gate?.reasons.orEmpty()
        val advice = reasons.joinToString(" ") { "${it.word}: ${it.advice}." }
        val words =
            when (prediction.answer) {
                Answer.NOT_JUDGED -> return text(R.string.not_judged, advice)
                Answer.NOT_FLAGGED -> R.string.not_flagged
                Answer.REFER -> R.string.refer
                Answer.FLAGGED -> R.string.flagged
            }
        return "${text(words, prediction.probability, threshold)} $advice".trim()
    }

    private fun text(id: Int, vararg arguments: Any?): String =
        getApplication<Application>().getString(id, *arguments)

    private fun show(change: Screen.() -> Screen) {
        latest = latest.change()
        shown.postValue(latest)
    }

    private companion object {
        /** The longer side of the picture on the screen; the network gets the whole photo. */
        const val PREVIEW_PIXELS = 1024
    }
}
