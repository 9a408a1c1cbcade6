// The newest stable pair of November 2026, held against each other on paper and never built here:
// the Android Gradle plugin 9.4 asks for Gradle 9.6 or newer, JDK 17, build tools 36, and knows
// API levels up to 37. It compiles Kotlin by itself, with 2.2.10 unless a newer one stands here;
// 2.4.20 is the compiler that this code was checked with.
buildscript {
    repositories {
        google()
        mavenCentral()
    }
    dependencies {
        classpath("org.jetbrains.kotlin:kotlin-gradle-plugin:2.4.20")
    }
}

plugins {
    id("com.android.application") version "9.4.1" apply false
}
