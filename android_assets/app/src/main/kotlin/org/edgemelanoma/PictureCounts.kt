package org.edgemelanoma

import org.json.JSONArray
import org.json.JSONObject

/**
 * The bins of model_info.json, which are of this model alone.
 *
 * @property reference what names them
 * @property edges by measure; each bin but the first begins with one of them
 */
data class CountRules(val reference: String, val edges: Map<String, List<Int>>) {
    /** The bin of each measure of a picture; of one that is not judged that of its distance alone. */
    internal fun binsOf(prediction: LesionPrediction): Map<String, Int> {
        val gate = prediction.gate ?: return emptyMap()
        val measures = gate.measures
        val values = buildMap {
            put("gate", (gate.distance * 1000 / gate.limit).toInt())
            prediction.probability?.let { probability ->
                put("score", (probability * 256).toInt())
                put("red", measures.red)
                put("blue", measures.blue)
                put("colour", measures.colour)
                put("light", measures.light)
                put("detail", measures.detail)
            }
        }
        return values.mapValues { (name, value) -> edges.getValue(name).count { it <= value } }
    }

    companion object {
        internal val MEASURES =
            listOf("gate", "score", "red", "blue", "colour", "light", "detail")
    }
}

/**
 * How many of an app's pictures fell into which bin, for `edge-melanoma drift`.
 *
 * Nothing is counted unless the app makes one of these and adds to it. [export] may leave the
 * device: it grows by [LEAST] judged pictures at once, so that it tells of no single one, and has
 * no times and no names. [save] may not: keep it in the app's private storage.
 *
 * @param saved what [save] gave before; it begins anew where that is of another model
 */
class PictureCounts(private val rules: CountRules, saved: String? = null) {
    private val kept = mutableMapOf<String, IntArray>()
    private val recent = mutableMapOf<String, IntArray>()

    init {
        val told = saved?.let(::JSONObject)
        val isOwn = told?.getString("reference") == rules.reference
        for ((counts, part) in listOf(kept to "kept", recent to "recent")) {
            for ((name, edges) in rules.edges) {
                val before = told?.takeIf { isOwn }?.getJSONObject(part)?.getJSONArray(name)
                counts[name] = IntArray(edges.size + 1) { before?.getInt(it) ?: 0 }
            }
        }
    }

    /** Count a picture; one of a model without a gate counts nothing. */
    @Synchronized
    fun add(prediction: LesionPrediction) {
        for ((name, bin) in rules.binsOf(prediction)) recent.getValue(name)[bin]++
        if (recent.getValue("score").sum() < LEAST) return
        for ((name, bins) in recent) {
            for (bin in bins.indices) kept.getValue(name)[bin] += bins[bin]
            bins.fill(0)
        }
    }

    /** The text of a file for `edge-melanoma drift`; none of fewer than [LEAST] judged pictures. */
    @Synchronized
    fun export(): String? {
        val pictures = kept.getValue("gate").sum()
        if (pictures == 0) return null
        val told = JSONObject().put("schema", 1).put("reference", rules.reference)
        return told.put("pictures", pictures).put("counts", kept.toJson()).toString()
    }

    /** All that was counted, to go on with after the app was closed. */
    @Synchronized
    fun save(): String =
        JSONObject()
            .put("reference", rules.reference)
            .put("kept", kept.toJson())
            .put("recent", recent.toJson())
            .toString()

    private fun Map<String, IntArray>.toJson() =
        JSONObject().also { json -> forEach { (name, bins) -> json.put(name, JSONArray(bins.toList())) } }

    companion object {
        /** Judged pictures that an export grows by. */
        const val LEAST = 20
    }
}
