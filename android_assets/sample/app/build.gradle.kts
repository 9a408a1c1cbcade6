plugins {
    id("com.android.application")
}

android {
    namespace = "org.edgemelanoma.sample"
    compileSdk = 36

    defaultConfig {
        applicationId = "org.edgemelanoma.sample"
        minSdk = 24
        targetSdk = 36
        versionCode = 1
        versionName = "1.0"
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
    }

    // The bundle's own code, models and golden vectors, not copies of them.
    sourceSets {
        named("main") {
            kotlin.directories += "../../app/src/main/kotlin"
            assets.directories += "../../app/src/main/assets"
        }
        named("androidTest") {
            kotlin.directories += "../../app/src/androidTest/kotlin"
            assets.directories += "../../app/src/androidTest/assets"
        }
    }

    // LiteRT maps the model straight from the package, which a compressed file does not allow.
    androidResources {
        noCompress += "tflite"
    }
}

dependencies {
    implementation("com.google.ai.edge.litert:litert:2.3.0")
    implementation("androidx.activity:activity-ktx:1.10.1")
    androidTestImplementation("androidx.test.ext:junit:1.2.1")
    androidTestImplementation("androidx.test:runner:1.6.2")
}
