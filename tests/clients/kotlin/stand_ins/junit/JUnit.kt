package org.junit

annotation class Test

object Assume {
    @JvmStatic
    fun assumeTrue(message: String, condition: Boolean) = Assert.assertTrue(message, condition)
}

object Assert {
    @JvmStatic
    fun assertTrue(message: String, condition: Boolean) {
        if (!condition) throw AssertionError(message)
    }
}
