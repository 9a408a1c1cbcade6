plugins {
    // From 9.0 on the plugin compiles Kotlin by itself.
    id("com.android.application") version "9.0.0" apply false
}
