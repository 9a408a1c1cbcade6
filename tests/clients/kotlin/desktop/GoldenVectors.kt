package org.edgemelanoma.desktop

import org.edgemelanoma.GoldenVectorTest

/** The test that the bundle ships for devices, run here; returns what it complains about. */
fun goldenVectors(): List<String> =
    listOf(
        GoldenVectorTest::pngPicturesAreDecodedEqually,
        GoldenVectorTest::resizedPixelsAreEqual,
        GoldenVectorTest::compiledModelGivesTheSameIntegers,
        GoldenVectorTest::interpreterGivesTheSameIntegers,
        GoldenVectorTest::unsignedTwinGivesTheSameIntegers,
    ).mapNotNull { test ->
        try {
            test(GoldenVectorTest())
            null
        } catch (failure: AssertionError) {
            "golden vectors, ${test.name}: ${failure.message}"
        }
    }
