plugins {
    id("com.android.application")
}

android {
    namespace = "org.edgemelanoma.sample"
    compileSdk = 36

    defaultConfig {
        applicationId = "org.edgemelanoma.sample"
        // What the manifest of com.google.ai.edge.litert:litert:2.3.0 asks for: Android 7.0.
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

    androidResources {
        // LiteRT maps the model straight from the package; a compressed file cannot be mapped.
        noCompress += "tflite"
        // The twin is for clients that refuse int8. Without this line the app is 2.6 MB larger.
        ignoreAssetsPatterns += "!melanoma_uint8.tflite"
    }

    // R8 may shrink and rename all of this: LiteRT brings the rules for what its native code calls,
    // and nothing in org.edgemelanoma is looked up by name.
    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
        }
    }
}

dependencies {
    implementation("com.google.ai.edge.litert:litert:2.3.0")
    implementation("androidx.activity:activity-ktx:1.10.1")
    implementation("androidx.exifinterface:exifinterface:1.4.2")
    implementation("androidx.lifecycle:lifecycle-livedata-ktx:2.10.0")
    implementation("androidx.lifecycle:lifecycle-viewmodel-ktx:2.10.0")
    androidTestImplementation("androidx.test.ext:junit:1.2.1")
    androidTestImplementation("androidx.test:runner:1.6.2")
}
