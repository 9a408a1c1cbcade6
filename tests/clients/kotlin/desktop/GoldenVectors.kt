package org.edgemelanoma.desktop

import org.edgemelanoma.GoldenVectorTest

/** The test that the bundle ships for devices, run here; returns what it complains about. */
fun goldenVectors(): List<String> {
    val complaints = listOf(
        GoldenVectorTest::pngPicturesAreDecodedEqually,
        GoldenVectorTest::resizedPixelsAreEqual,
        GoldenVectorTest::turnedPicturesAreTurnedBack,
        GoldenVectorTest::measuresAreEqual,
        GoldenVectorTest::countsAreEqual,
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
    // JPEG pictures are handed over decoded where need be, so here none may be left out.
    val leftOut = GoldenVectorTest().decodedOtherwise().map { "golden vectors, left out: $it" }
    return complaints + leftOut
}
