package org.edgemelanoma.sample

import android.content.Context
import org.edgemelanoma.ModelInfo

/** What the threshold was chosen for and how it did on each set, a line a set. */
internal fun Context.describe(info: ModelInfo): String {
    val sets = info.measurements.map { measured ->
        getString(
            R.string.measured,
            measured.set,
            measured.images,
            share(measured.recall, measured.recallInterval),
            share(measured.specificity, measured.specificityInterval),
        )
    }
    val chosen = getString(R.string.operating_point, 100 * info.minRecall)
    return (listOf(chosen) + sets).joinToString("\n")
}

private fun Context.share(value: Double?, interval: ClosedFloatingPointRange<Double>?): String =
    if (value == null || interval == null) {
        getString(R.string.undefined)
    } else {
        getString(R.string.share, 100 * value, 100 * interval.start, 100 * interval.endInclusive)
    }
