// The resize triangle-22bit-v1, equal bit for bit to what the network was trained and measured on.
// No import, no platform: pictures are bytes, row by row, red, green, blue.
//
// Plain on purpose: edge-melanoma's tests run this file, translated line by line, against their
// resize. Whoever makes it faster checks it against golden.json.

/// Width and height of the network's input in pixels.
public let sideOfInput = 224

/// For each output pixel along a side of `inputSize` pixels: the first pixel it takes, and its whole
/// weights, in units of 1 / 4194304 (22 binary places).
func triangle(_ inputSize: Int) -> ([Int], [[Int]]) {
    let scale = Double(inputSize) / Double(sideOfInput)
    let support = max(scale, 1.0)
    var firsts: [Int] = []
    var rows: [[Int]] = []
    for output in 0..<sideOfInput {
        let centre = (Double(output) + 0.5) * scale
        let first = max(Int(centre - support + 0.5), 0)
        let end = min(Int(centre + support + 0.5), inputSize)
        var shares: [Double] = []
        var total = 0.0
        for input in first..<end {
            // Times the reciprocal: a division rounds otherwise.
            let distance = abs((Double(input) - centre + 0.5) * (1.0 / support))
            let share = max(1.0 - distance, 0.0)
            shares.append(share)
            total += share
        }
        var weights: [Int] = []
        for share in shares {
            weights.append(Int(share / total * 4194304.0 + 0.5))
        }
        firsts.append(first)
        rows.append(weights)
    }
    return (firsts, rows)
}

/// The grey level of a sum of weighted levels; rounded weights may pass 255 by a bit.
func level(_ sum: Int) -> UInt8 {
    return UInt8(max(0, min(255, sum >> 22)))
}

/// All rows of a picture, each squeezed to 224 pixels.
func squeezeRows(_ pixels: [UInt8], _ width: Int, _ height: Int) -> [UInt8] {
    let (firsts, rows) = triangle(width)
    var squeezed = [UInt8](repeating: 0, count: height * sideOfInput * 3)
    for y in 0..<height {
        for x in 0..<sideOfInput {
            for channel in 0..<3 {
                var sum = 2097152
                for tap in 0..<rows[x].count {
                    let at = (y * width + firsts[x] + tap) * 3 + channel
                    sum += Int(pixels[at]) * rows[x][tap]
                }
                squeezed[(y * sideOfInput + x) * 3 + channel] = level(sum)
            }
        }
    }
    return squeezed
}

/// All columns of a picture that is 224 pixels wide, each squeezed to 224 pixels.
func squeezeColumns(_ pixels: [UInt8], _ height: Int) -> [UInt8] {
    let (firsts, rows) = triangle(height)
    let rowBytes = sideOfInput * 3
    var squeezed = [UInt8](repeating: 0, count: sideOfInput * rowBytes)
    for y in 0..<sideOfInput {
        for byte in 0..<rowBytes {
            var sum = 2097152
            for tap in 0..<rows[y].count {
                sum += Int(pixels[(firsts[y] + tap) * rowBytes + byte]) * rows[y][tap]
            }
            squeezed[y * rowBytes + byte] = level(sum)
        }
    }
    return squeezed
}

/// The network's input: 150528 bytes of the upright picture `pixels`, along the rows first.
public func resize(_ pixels: [UInt8], _ width: Int, _ height: Int) -> [UInt8] {
    return squeezeColumns(squeezeRows(pixels, width, height), height)
}

/// Whether the model may judge a picture, by the int8 output `gate` of melanoma_int8.tflite.
///
/// `zeroPoint`, `oneSided` and `limit` are those of model_info.json (`limit_integer`).
public func isInDomain(_ components: [Int8], _ zeroPoint: Int, _ oneSided: Int, _ limit: Int) -> Bool {
    var sum = 0
    for index in 0..<components.count {
        let value = Int(components[index]) - zeroPoint
        if index < components.count - oneSided || value > 0 {
            sum += value * value
        }
    }
    return sum <= limit
}
