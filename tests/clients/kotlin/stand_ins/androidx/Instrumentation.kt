package androidx.test.platform.app

import android.content.Context

/** [context] sees the test's assets, [targetContext] the app's. */
class Instrumentation(val context: Context, val targetContext: Context)

object InstrumentationRegistry {
    lateinit var current: Instrumentation

    @JvmStatic
    fun getInstrumentation(): Instrumentation = current
}
