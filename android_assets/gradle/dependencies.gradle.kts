// What LesionClassifier and its golden vector test need. Merge it into the build.gradle.kts of the
// app's module. The manifest of litert 2.3.0 asks for minSdk 24, which is Android 7.0.

android {
    defaultConfig {
        minSdk = 24
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
    }
    androidResources {
        // A compressed asset cannot be mapped into memory.
        noCompress += "tflite"
    }
}

dependencies {
    implementation("androidx.exifinterface:exifinterface:1.4.2")
    implementation("com.google.ai.edge.litert:litert:2.3.0")
    androidTestImplementation("androidx.test.ext:junit:1.2.1")
    androidTestImplementation("androidx.test:runner:1.6.2")
}
