//! Where places are, where the page draws them, and how far apart they are: computed here, so that
//! neither the page nor PostGIS is its own witness.

use std::f64::consts::PI;

const PLACES: &str = include_str!("../../../volumes/init/10-places.sql");

/// Where a place is, as `volumes/init` says: degrees east and north.
pub fn position(place: &str) -> (f64, f64) {
    let start = format!("('{place}', ");
    let line = PLACES.lines().find(|line| line.trim_start().starts_with(&start));
    let line = line.unwrap_or_else(|| panic!("{place} is not in 10-places.sql"));
    let mut fields = line.trim_end_matches([')', ',']).rsplit(", ").map(str::parse::<f64>);
    match (fields.next(), fields.next()) {
        (Some(Ok(latitude)), Some(Ok(longitude))) => (longitude, latitude),
        _ => panic!("no position in: {line}"),
    }
}

/// The Equal Earth projection, in the units of the page: the equator is 1000 wide.
pub fn equal_earth((longitude, latitude): (f64, f64)) -> (f64, f64) {
    const A: [f64; 4] = [1.340_264, -0.081_106, 0.000_893, 0.003_796];
    let (widest, highest) = (2.706_629_983_6, 1.317_362_759_1);
    let scale = 500.0 / widest;
    let t = (3_f64.sqrt() / 2.0 * latitude.to_radians().sin()).asin();
    let slope = 9.0 * A[3] * t.powi(8) + 7.0 * A[2] * t.powi(6) + 3.0 * A[1] * t.powi(2) + A[0];
    let x = 2.0 * 3_f64.sqrt() * longitude.to_radians() * t.cos() / (3.0 * slope);
    let y = A[3] * t.powi(9) + A[2] * t.powi(7) + A[1] * t.powi(3) + A[0] * t;
    (500.0 + scale * x, scale * (highest - y))
}

/// The length of the shortest way on the WGS 84 ellipsoid, in metres; right to a millimetre except
/// for points that lie almost opposite each other.
#[expect(clippy::many_single_char_names, reason = "the letters of Vincenty's paper")]
pub fn vincenty(from: (f64, f64), to: (f64, f64)) -> f64 {
    const MAJOR: f64 = 6_378_137.0;
    const FLAT: f64 = 1.0 / 298.257_223_563;
    let minor = MAJOR * (1.0 - FLAT);
    let reduced = |latitude: f64| ((1.0 - FLAT) * latitude.to_radians().tan()).atan();
    let ((su, cu), (sv, cv)) = (reduced(from.1).sin_cos(), reduced(to.1).sin_cos());
    let mut apart = (to.0 - from.0).to_radians();
    apart -= (apart / (2.0 * PI)).round() * 2.0 * PI;
    let mut lambda = apart;
    for _ in 0..200 {
        let (sl, cl) = lambda.sin_cos();
        let sine = (cv * sl).hypot(cu * sv - su * cv * cl);
        let cosine = su * sv + cu * cv * cl;
        if sine == 0.0 {
            return 0.0;
        }
        let sigma = sine.atan2(cosine);
        let alpha = cu * cv * sl / sine;
        let square = 1.0 - alpha * alpha;
        let middle = if square == 0.0 { 0.0 } else { cosine - 2.0 * su * sv / square };
        let c = FLAT / 16.0 * square * (4.0 + FLAT * (4.0 - 3.0 * square));
        let inner = middle + c * cosine * (2.0 * middle * middle - 1.0);
        let next = apart + (1.0 - c) * FLAT * alpha * (sigma + c * sine * inner);
        if (next - lambda).abs() > 1e-13 {
            lambda = next;
            continue;
        }
        let u = square * (MAJOR * MAJOR - minor * minor) / (minor * minor);
        let a = 1.0 + u / 16384.0 * (4096.0 + u * (u * (320.0 - 175.0 * u) - 768.0));
        let b = u / 1024.0 * (256.0 + u * (u * (74.0 - 47.0 * u) - 128.0));
        let m = 2.0 * middle * middle - 1.0;
        let last = b / 6.0 * middle * (4.0 * sine * sine - 3.0) * (4.0 * middle * middle - 3.0);
        return minor * a * (sigma - b * sine * (middle + b / 4.0 * (cosine * m - last)));
    }
    panic!("{from:?} and {to:?} lie opposite each other")
}

#[test]
fn vincenty_is_right() {
    // Flinders Peak to Buninyon, the example of Geoscience Australia, here on WGS 84.
    let metres = vincenty((144.424_867_889, -37.951_033_417), (143.926_495_528, -37.652_821_139));
    assert!((metres - 54_972.271).abs() < 0.001, "{metres}");
}
