package org.edgemelanoma.desktop

import android.content.res.AssetManager
import android.graphics.Bitmap
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.JniHandle
import java.io.File
import java.lang.management.ManagementFactory
import kotlin.reflect.KClass
import org.edgemelanoma.Answer
import org.edgemelanoma.ArgbPixels
import org.edgemelanoma.ChangedModelException
import org.edgemelanoma.EmptyPictureException
import org.edgemelanoma.LesionClassifier
import org.edgemelanoma.LesionPreprocessor
import org.edgemelanoma.ModelInfoException
import org.edgemelanoma.Orientation
import org.edgemelanoma.PictureCounts
import org.edgemelanoma.PixelEncoding
import org.edgemelanoma.Runtime
import org.edgemelanoma.RuntimeFailureException
import org.edgemelanoma.WrongTensorException
import org.json.JSONObject
import org.tensorflow.lite.Interpreter

/** What the classifier does with good and with bad bundles, bitmaps and calls. */
class ClassifierBehaviour(private val bundle: File) {
    private val failures = mutableListOf<String>()

    /** Every expectation that is not met. */
    fun failures(): List<String> {
        answersAndThreads()
        threeAnswers()
        bitmapsThatCannotBeRead()
        closedClassifiers()
        changedBundles()
        wrongTensors()
        badArguments()
        counts()
        framesWithoutAllocation()
        expect("everything that was opened is closed", JniHandle.open == 0 && Interpreter.open == 0)
        return failures
    }

    private fun answersAndThreads() {
        for (runtime in Runtime.entries) {
            open(runtime, threads = 3).use { classifier ->
                val answer = classifier.classify(bitmap())
                val threshold = checkNotNull(classifier.model.integerThreshold)
                val probability = (answer.integer + 128) / 256.0
                val isMalignant = answer.integer >= threshold
                val isJudged = answer.gate?.isInDomain ?: true
                val told = probability.takeIf { isJudged }
                expect("$runtime: p from the integer", answer.probability == told)
                val decided = isMalignant.takeIf { isJudged }
                expect("$runtime: the threshold decides", answer.isMalignant == decided)
                val isExplained = isJudged || answer.gate.reasons.isNotEmpty()
                expect("$runtime: a refusal has a reason", isExplained)
                val answers = if (isMalignant) Answer.FLAGGED else Answer.NOT_FLAGGED
                val expected = answers.takeIf { isJudged } ?: Answer.NOT_JUDGED
                expect("$runtime: one threshold gives two answers", answer.answer == expected)
            }
        }
        expect("threads reach CompiledModel", CompiledModel.threads == 3)
        expect("threads reach Interpreter", Interpreter.threads == 3)
    }

    private fun threeAnswers() {
        val integer = open().use { it.classify(bitmap()).integer }
        // Whatever a gate thinks of the picture.
        val expected =
            mapOf(
                (integer + 1 to integer + 2) to Answer.NOT_FLAGGED,
                (integer to integer + 1) to Answer.REFER,
                (integer - 1 to integer) to Answer.FLAGGED,
            )
        for ((ends, answer) in expected) {
            withChanged({ it.edit { setThresholds(ends) } }) { folder ->
                LesionClassifier.open(AssetManager(folder)).use {
                    val found = it.classify(bitmap()).answer
                    expect("$integer is $answer between $ends, not $found", found == answer)
                }
            }
        }
    }

    private fun JSONObject.setThresholds(ends: Pair<Int, Int>) {
        val upper = JSONObject().put("float", 0.99).put("integer", ends.second)
        val model = models().first()
        model.remove("gate")
        model.getJSONObject("threshold").put("integer", ends.first).put("upper", upper)
    }

    private fun bitmapsThatCannotBeRead() {
        open().use { classifier ->
            Bitmap.copies.clear()
            val inMemory = classifier.classify(bitmap())
            expect("a readable bitmap is not copied", Bitmap.copies.isEmpty())
            val hardware = bitmap(Bitmap.Config.HARDWARE)
            expect("a hardware bitmap scores the same", classifier.classify(hardware) == inMemory)
            expect("its copy is recycled", Bitmap.copies.single().isRecycled)
            expect("it itself is not", !hardware.isRecycled)
            expectThrown(EmptyPictureException::class, "recycled") {
                classifier.classify(bitmap().apply { recycle() })
            }
        }
    }

    private fun closedClassifiers() {
        val classifier = open()
        classifier.close()
        classifier.close()
        expectThrown(IllegalStateException::class, "closed") { classifier.classify(bitmap()) }
    }

    private fun changedBundles() {
        val model = LesionClassifier.INT8_MODEL
        expectRefused(ChangedModelException::class, "sha256") { it.resolve(model).flipLastByte() }
        expectRefused(ChangedModelException::class, model) { it.resolve(model).delete() }
        expectRefused(ModelInfoException::class, "model_info.json") { it.resolve(INFO).delete() }
        expectRefused(ModelInfoException::class, "cannot be used") {
            it.resolve(INFO).writeText("{")
        }
        expectRefused(ModelInfoException::class, "schema") { it.edit { put("schema", 2) } }
        expectRefused(ModelInfoException::class, "resize_id") {
            it.edit { getJSONObject("preprocessing").put("resize_id", "bicubic") }
        }
        expectRefused(ModelInfoException::class, "crop") {
            it.edit { getJSONObject("preprocessing").put("crop", "left") }
        }
        expectRefused(ModelInfoException::class, model) {
            it.edit { models().first().put("file", "other") }
        }
        for (runtime in Runtime.entries) {
            expectRefused(RuntimeFailureException::class, "load $model", runtime) { folder ->
                folder.resolve(model).writeBytes(ByteArray(64))
                folder.edit { models().first().put("sha256", sha256(ByteArray(64))) }
            }
        }
    }

    private fun wrongTensors() {
        expectRefused(WrongTensorException::class, "is UINT8", Runtime.INTERPRETER) { folder ->
            // The unsigned twin under the signed one's name and description.
            val twin = folder.resolve(LesionClassifier.UINT8_MODEL).readBytes()
            folder.resolve(LesionClassifier.INT8_MODEL).writeBytes(twin)
            folder.edit { models().first().put("sha256", sha256(twin)) }
        }
        for (runtime in Runtime.entries) {
            expectRefused(WrongTensorException::class, "p_malignant", runtime) {
                it.edit { models().first().getJSONObject("output").getJSONArray("shape").put(0, 9) }
            }
        }
        expectRefused(WrongTensorException::class, "(0.5, ", Runtime.INTERPRETER) {
            it.edit { models().first().getJSONObject("output").put("scale", 0.5) }
        }
        expectThrown(WrongTensorException::class, "COMPILED_MODEL needs INT8") {
            open(modelFile = LesionClassifier.UINT8_MODEL)
        }
        expectRefused(WrongTensorException::class, "gives logit") {
            it.edit { models().first().getJSONObject("output").put("name", "logit") }
        }
        expectRefused(WrongTensorException::class, "FLOAT32") {
            it.edit { models().first().getJSONObject("input").put("dtype", "float32") }
        }
    }

    private fun badArguments() {
        expectThrown(IllegalArgumentException::class, "thread") { open(threads = 0) }
        expectThrown(IllegalArgumentException::class, "45") { Orientation.ofDegrees(45) }
        expectThrown(EmptyPictureException::class, "0 x 5") { ArgbPixels(IntArray(9), 0, 5) }
        expectThrown(EmptyPictureException::class, "array of 9") { ArgbPixels(IntArray(9), 2, 5) }
        expect("missing EXIF is upright", Orientation.ofExif(0) == Orientation.UPRIGHT)
        expect("-90 is 270", Orientation.ofDegrees(-90) == Orientation.TURNED_270)
    }

    private fun counts() {
        val (rules, judged) = open().use { classifier ->
            val found = classifier.classify(bitmap())
            classifier.info.counts to found.copy(
                probability = 0.5,
                gate = found.gate?.copy(distance = 0.0, isInDomain = true),
            )
        }
        if (rules == null) return
        val refused = judged.copy(probability = null)
        var counts = PictureCounts(rules)
        repeat(PictureCounts.LEAST - 1) { counts.add(judged) }
        counts.add(refused)
        expect("19 judged pictures leave nothing", counts.export() == null)
        val begun = counts.save()
        val other = PictureCounts(rules.copy(reference = "other"), begun)
        other.add(judged)
        expect("counts of another model are not gone on with", other.export() == null)
        counts = PictureCounts(rules, begun)
        counts.add(judged)
        val first = counts.export() ?: "{}"
        val told = JSONObject(first)
        expect("21 pictures are told, not $told", told.optInt("pictures") == 21)
        val scores = told.getJSONObject("counts").getJSONArray("score")
        val bins = List(scores.length(), scores::getInt)
        expect("20 of them are in one bin of the score, not $bins", bins.max() == 20)
        repeat(PictureCounts.LEAST - 1) { counts.add(judged) }
        expect("19 more change nothing", counts.export() == first)
    }

    private fun framesWithoutAllocation() {
        val memory = ManagementFactory.getThreadMXBean() as com.sun.management.ThreadMXBean
        val preprocessor = LesionPreprocessor(PixelEncoding.INT8)
        val frame = ArgbPixels(IntArray(640 * 480), 640, 480)
        fun allocated() = memory.currentThreadAllocatedBytes
        repeat(3) { preprocessor.process(frame, Orientation.TURNED_90) }
        val nothing = allocated().let { allocated() - it }
        val before = allocated()
        repeat(20) { preprocessor.process(frame, Orientation.TURNED_90) }
        val bytes = allocated() - before - nothing
        expect("20 frames allocate nothing, not $bytes bytes", bytes == 0L)
    }

    private fun open(
        runtime: Runtime = Runtime.COMPILED_MODEL,
        threads: Int = 1,
        modelFile: String = LesionClassifier.INT8_MODEL,
    ) = LesionClassifier.open(AssetManager(bundle), runtime, threads, modelFile)

    private fun bitmap(config: Bitmap.Config = Bitmap.Config.ARGB_8888) =
        Bitmap.createBitmap(IntArray(300 * 200) { 0xFF000000.toInt() or it * 37 }, 300, 200, config)

    /** Opening a copy of the assets that [change] has spoilt must fail and leave nothing open. */
    private fun expectRefused(
        kind: KClass<out Exception>,
        word: String,
        runtime: Runtime = Runtime.COMPILED_MODEL,
        change: (File) -> Unit,
    ) = withChanged(change) { folder ->
        expectThrown(kind, word) { LesionClassifier.open(AssetManager(folder), runtime).close() }
    }

    private fun withChanged(change: (File) -> Unit, use: (File) -> Unit) {
        val folder = kotlin.io.path.createTempDirectory("assets").toFile()
        try {
            bundle.copyRecursively(folder, overwrite = true)
            change(folder)
            use(folder)
        } finally {
            folder.deleteRecursively()
        }
    }

    private fun expectThrown(kind: KClass<out Exception>, word: String, work: () -> Unit) {
        val thrown = runCatching(work).exceptionOrNull()
        val isAsExpected = kind.isInstance(thrown) && word in "$thrown"
        expect("${kind.simpleName} with '$word', not $thrown", isAsExpected)
    }

    private fun expect(claim: String, isTrue: Boolean) {
        if (!isTrue) failures += "classifier: $claim"
    }

    private fun File.edit(change: JSONObject.() -> Unit) {
        val info = resolve(INFO)
        info.writeText(JSONObject(info.readText()).apply(change).toString())
    }

    private fun JSONObject.models() =
        getJSONArray("models").let { list -> List(list.length(), list::getJSONObject) }

    private fun File.flipLastByte() =
        writeBytes(readBytes().also { it[it.lastIndex] = (it.last().toInt() xor 1).toByte() })

    companion object {
        private const val INFO = "model_info.json"
    }
}
