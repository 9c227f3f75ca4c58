//! The dominant colours of a picture, by the names that people have for them.

use super::picture::RgbPicture;

/// The names, in the order of [`of`].
pub const NAMES: [&str; 12] =
    ["red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "brown", "black", "gray", "white"];

/// Least share of the picture that has a dominant colour. Greys are everywhere and must cover more.
const LEAST: f64 = 0.12;
const LEAST_GREY: f64 = 0.35;
/// About how many pixels are looked at.
const SAMPLE: usize = 10_000;

/// The colours that dominate a picture, those that cover most of it first; there may be none.
#[must_use]
pub fn of(picture: &RgbPicture) -> Vec<&'static str> {
    let pixels = picture.data.as_chunks::<3>().0;
    // A step that shares no divisor with the width would be better, and hardly different.
    let step = (pixels.len() / SAMPLE).max(1) | 1;
    let mut counts = [0_usize; NAMES.len()];
    let mut all = 0_usize;
    for pixel in pixels.iter().step_by(step) {
        all += 1;
        if let Some(count) = counts.get_mut(name_of(*pixel)) {
            *count += 1;
        }
    }
    let share = |at: usize| counts.get(at).map_or(0.0, |count| *count as f64 / all.max(1) as f64);
    let mut found: Vec<usize> =
        (0..NAMES.len()).filter(|at| share(*at) >= if *at >= 9 { LEAST_GREY } else { LEAST }).collect();
    found.sort_by(|a, b| share(*b).total_cmp(&share(*a)));
    found.into_iter().filter_map(|at| NAMES.get(at).copied()).collect()
}

/// The position in [`NAMES`] of the colour of a pixel, by its hue, saturation and brightness.
fn name_of([r, g, b]: [u8; 3]) -> usize {
    let [r, g, b] = [r, g, b].map(|value| f32::from(value) / 255.0);
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    let span = most - least;
    let saturation = if most > 0.0 { span / most } else { 0.0 };
    if most < 0.16 {
        return 9;
    }
    // The darker, the less of a colour is seen.
    if saturation < 0.18 || span < 0.08 {
        return if most > 0.82 { 11 } else { 10 };
    }
    let sector = if most == r {
        ((g - b) / span).rem_euclid(6.0)
    } else if most == g {
        (b - r) / span + 2.0
    } else {
        (r - g) / span + 4.0
    };
    match sector * 60.0 {
        // Dark orange is brown, and so is pale orange: skin, wood, sand.
        15.0..48.0 if most < 0.6 || saturation < 0.5 => 8,
        0.0..15.0 | 345.0.. if most < 0.35 && saturation < 0.7 => 8,
        0.0..15.0 | 345.0.. if saturation < 0.5 && most > 0.7 => 7,
        0.0..15.0 | 345.0.. => 0,
        15.0..42.0 => 1,
        42.0..68.0 if most < 0.45 => 3,
        42.0..68.0 => 2,
        68.0..160.0 => 3,
        160.0..195.0 => 4,
        195.0..255.0 => 5,
        255.0..295.0 => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pixel: [u8; 3]) -> &'static str {
        NAMES[name_of(pixel)]
    }

    #[test]
    fn colours_have_the_names_that_people_give_them() {
        for (pixel, name) in [
            ([220, 20, 20], "red"),
            ([255, 140, 0], "orange"),
            ([250, 230, 30], "yellow"),
            ([40, 160, 40], "green"),
            ([107, 142, 35], "green"),
            ([0, 150, 150], "teal"),
            ([135, 206, 235], "blue"),
            ([20, 40, 160], "blue"),
            ([128, 0, 200], "purple"),
            ([255, 105, 180], "pink"),
            ([139, 90, 43], "brown"),
            ([210, 180, 140], "brown"),
            ([10, 10, 12], "black"),
            ([128, 128, 130], "gray"),
            ([250, 250, 245], "white"),
        ] {
            assert_eq!(named(pixel), name, "{pixel:?}");
        }
    }

    #[test]
    fn what_covers_enough_is_dominant() {
        let picture = |parts: &[([u8; 3], usize)]| {
            let data: Vec<u8> = parts.iter().flat_map(|(pixel, count)| pixel.repeat(*count)).collect();
            let height = (data.len() / 300) as u32;
            RgbPicture { width: 100, height, data, full: (100, height), extent: (0.0, 0.0, 100.0, height.into()) }
        };
        let (red, blue, white) = ([220, 20, 20], [20, 40, 160], [250, 250, 250]);
        assert_eq!(of(&picture(&[(red, 7_000), (blue, 3_000)])), ["red", "blue"]);
        assert_eq!(of(&picture(&[(red, 500), (blue, 9_500)])), ["blue"]);
        assert_eq!(of(&picture(&[(white, 2_000), (blue, 8_000)])), ["blue"]);
        assert!(of(&picture(&[])).is_empty());
    }
}
