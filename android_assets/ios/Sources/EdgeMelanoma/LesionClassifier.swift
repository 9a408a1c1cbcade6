// P(malignant) of a picture by LiteRT's Swift package. Never compiled: see docs of edge-melanoma.

import CoreGraphics
import CryptoKit
import Foundation
import TensorFlowLite

/// Why a bundle or a picture cannot be used.
public enum LesionError: Error {
    case missing(String)
    case changed(String)
    case otherResize(String)
    case noPixels
}

/// What a person is told; a model with one threshold never says `refer`.
public enum Answer {
    case notJudged, notFlagged, refer, flagged
}

/// The answer for one picture; without a score where the picture is not judged.
public struct LesionPrediction {
    public let probability: Double?
    public let integer: Int
    public let answer: Answer
}

/// The part of model_info.json that is read here.
private struct Bundled: Decodable {
    struct Threshold: Decodable {
        struct Upper: Decodable { let integer: Int }
        let integer: Int
        let upper: Upper?
    }
    struct Gate: Decodable {
        let zero_point: Int
        let one_sided: Int
        let limit_integer: Int
    }
    struct Model: Decodable {
        let file: String
        let sha256: String
        let threshold: Threshold
        let gate: Gate?
    }
    struct Preprocessing: Decodable {
        let crop: String
        let resize_id: String
    }
    let models: [Model]
    let preprocessing: Preprocessing
    let disclaimer: String
}

/// From an upright picture to P(malignant) and the decision at the operating point of
/// model_info.json. For research; not a medical device: show `disclaimer` beside every result.
///
/// One instance serves one thread at a time. Add no Core ML or Metal delegate: other kernels give
/// other integers.
public final class LesionClassifier {
    private static let file = "melanoma_int8.tflite"
    private let interpreter: Interpreter
    private let model: Bundled.Model
    public let disclaimer: String

    /// The model and model_info.json of an app's bundle, held against its sha256.
    public init(bundle: Bundle = .main, threads: Int = 2) throws {
        let info = try JSONDecoder().decode(
            Bundled.self, from: LesionClassifier.read("model_info.json", in: bundle))
        guard let found = info.models.first(where: { $0.file == LesionClassifier.file }) else {
            throw LesionError.missing(LesionClassifier.file)
        }
        guard info.preprocessing.resize_id == "triangle-22bit-v1", info.preprocessing.crop == "none"
        else { throw LesionError.otherResize(info.preprocessing.resize_id) }
        let data = try LesionClassifier.read(found.file, in: bundle)
        let sha256 = SHA256.hash(data: data).map { String(format: "%02x", $0) }.joined()
        guard sha256 == found.sha256 else { throw LesionError.changed(found.file) }
        guard let path = bundle.path(forResource: found.file, ofType: nil) else {
            throw LesionError.missing(found.file)
        }
        var options = Interpreter.Options()
        options.threadCount = threads
        interpreter = try Interpreter(modelPath: path, options: options)
        try interpreter.allocateTensors()
        model = found
        disclaimer = info.disclaimer
    }

    /// Score a picture that stands upright: `UIImage.imageOrientation` is not in its `cgImage`.
    public func classify(_ image: CGImage) throws -> LesionPrediction {
        let pixels = try rgbBytes(image)
        let input = resize(pixels, image.width, image.height).map { $0 ^ 0x80 }  // p - 128 as a byte
        try interpreter.copy(Data(input), toInputAt: 0)
        try interpreter.invoke()
        let outputs = try (0..<interpreter.outputTensorCount).map { try interpreter.output(at: $0) }
        guard let score = outputs.first(where: { $0.data.count == 1 }) else {
            throw LesionError.changed(model.file)
        }
        let integer = Int(Int8(bitPattern: score.data[0]))
        if let gate = model.gate {
            guard let tensor = outputs.first(where: { $0.data.count > 1 }) else {
                throw LesionError.changed(model.file)
            }
            let components = tensor.data.map { Int8(bitPattern: $0) }
            if !isInDomain(components, gate.zero_point, gate.one_sided, gate.limit_integer) {
                return LesionPrediction(probability: nil, integer: integer, answer: .notJudged)
            }
        }
        let upper = model.threshold.upper?.integer ?? model.threshold.integer
        let answer: Answer =
            integer < model.threshold.integer ? .notFlagged : integer < upper ? .refer : .flagged
        let probability = Double(integer + 128) / 256
        return LesionPrediction(probability: probability, integer: integer, answer: answer)
    }

    private static func read(_ name: String, in bundle: Bundle) throws -> Data {
        guard let url = bundle.url(forResource: name, withExtension: nil) else {
            throw LesionError.missing(name)
        }
        return try Data(contentsOf: url)
    }
}

/// The pixels of a picture in sRGB over white, three bytes each, rows without padding.
func rgbBytes(_ image: CGImage) throws -> [UInt8] {
    let width = image.width, height = image.height
    var four = [UInt8](repeating: 255, count: width * height * 4)
    let space = CGColorSpace(name: CGColorSpace.sRGB)
    let drawn: Bool = four.withUnsafeMutableBytes { memory in
        guard let space, let context = CGContext(
            data: memory.baseAddress, width: width, height: height, bitsPerComponent: 8,
            bytesPerRow: width * 4, space: space,
            bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
        else { return false }
        let frame = CGRect(x: 0, y: 0, width: width, height: height)
        context.setFillColor(red: 1, green: 1, blue: 1, alpha: 1)
        context.fill(frame)
        context.interpolationQuality = .none
        context.draw(image, in: frame)
        return true
    }
    if !drawn || width == 0 || height == 0 { throw LesionError.noPixels }
    var three = [UInt8]()
    three.reserveCapacity(width * height * 3)
    for pixel in 0..<width * height { three += four[pixel * 4..<pixel * 4 + 3] }
    return three
}
