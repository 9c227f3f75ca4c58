use super::*;
use crate::photo::picture::RgbPicture;

/// A xorshift generator: the same pictures on every run.
struct Random(u32);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % limit
    }
}

fn look(width: u32, height: u32, shade: impl Fn(u32, u32) -> u8) -> Look {
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let data = pixels.flat_map(|(x, y)| [shade(x, y); 3]).collect();
    Look::of(&RgbPicture::whole(width, height, data)).unwrap()
}

/// A page of lines of words, black on white.
fn page(random: &mut Random) -> Look {
    let (width, height) = (500, 700);
    let mut shades = vec![250_u8; (width * height) as usize];
    for top in (50..650).step_by(13) {
        let mut left = 50;
        while left < 440 {
            let word = 8 + random.below(50);
            for (x, y) in (top..top + 7).flat_map(|y| (left..(left + word).min(450)).map(move |x| (x, y))) {
                shades[(y * width + x) as usize] = if (x / 2 + y / 3) % 2 == 0 { 20 } else { 250 };
            }
            left += word + 6;
        }
    }
    look(width, height, |x, y| shades[(y * width + x) as usize])
}

/// Blobs of light, a picture with structure everywhere; `dx` and `dy` move the camera.
fn blobs(seed: u32, dx: f32, dy: f32) -> Look {
    let mut random = Random(seed);
    let mut unit = || random.below(1_000) as f32 / 1_000.0;
    let blobs: Vec<[f32; 4]> =
        (0..60).map(|_| [unit() * 1.4 - 0.2, unit() * 1.4 - 0.2, 0.02 + 0.06 * unit(), unit()]).collect();
    look(300, 200, |x, y| {
        let (x, y) = (x as f32 / 300.0 + dx, y as f32 / 200.0 + dy);
        let light = blobs.iter().map(|[cx, cy, r, l]| l * (-((x - cx).powi(2) + (y - cy).powi(2)) / (r * r)).exp());
        (40.0 + 150.0 * light.sum::<f32>()).min(255.0) as u8
    })
}

#[test]
fn a_look_is_like_itself_and_unlike_another() {
    let (one, other) = (blobs(1, 0.0, 0.0), blobs(2, 0.0, 0.0));
    let same = compare(&one, &one, Turns::ALL);
    assert!(same.score > 0.999 && same.weakest > 0.999 && same.turns == 0 && same.fit == Fit::Whole, "{same:?}");
    assert!(compare(&one, &other, Turns::ALL).score < 0.6);
    assert_eq!(compare(&one, &one, Turns::NONE), Likeness::UNLIKE);
}

#[test]
fn the_same_thing_from_a_little_aside_is_no_copy() {
    let moved = compare(&blobs(1, 0.0, 0.0), &blobs(1, 0.04, 0.02), Turns::ALL);
    assert!(moved.score < 0.9, "{moved:?}");
}

#[test]
fn two_pages_of_text_are_not_alike() {
    let mut random = Random(7);
    let pages: Vec<Look> = (0..6).map(|_| page(&mut random)).collect();
    for (n, first) in pages.iter().enumerate() {
        assert!(compare(first, first, Turns::only(0)).score > 0.999);
        for second in &pages[n + 1..] {
            let likeness = compare(first, second, Turns::ALL);
            assert!(likeness.score < 0.9, "{likeness:?}");
        }
    }
}

#[test]
fn where_there_is_nothing_to_see_nothing_is_alike() {
    let shades = [look(64, 64, |_, _| 0), look(64, 64, |_, _| 255), look(64, 64, |x, y| (100 + (x + y) % 2) as u8)];
    for (first, second) in shades.iter().flat_map(|a| shades.iter().map(move |b| (a, b))) {
        assert_eq!(compare(first, second, Turns::ALL).score, 0.0);
    }
    assert!(Print::of(&shades[0], [0.0, 0.0, 1.0, 1.0]).exact.iter().all(|v| *v == 0.0));
}

#[test]
fn turns_lead_there_and_back() {
    let picture = blobs(3, 0.0, 0.0);
    let grid = Grid::of(&picture).turned(1);
    let right =
        Look { aspect: 1.0 / picture.aspect, grey: grid.values.iter().map(|v| *v as u8).collect(), ..picture.clone() };
    let there = compare(&picture, &right, Turns::ALL);
    assert_eq!((there.turns, there.fit), (1, Fit::Whole));
    assert_eq!(compare(&right, &picture, Turns::ALL).turns, 3);
    assert_eq!(there.back().turns, 3);
    assert_eq!(
        (Turns::only(1).back(), Turns::only(2).back(), Turns::ALL.back()),
        (Turns::only(3), Turns::only(2), Turns::ALL)
    );
    assert!(Turns::only(3).and(Turns::only(0)).has(0) && !Turns::only(3).has(1));
    let (whole, turned) = (Print::of(&right, [0.0, 0.0, 1.0, 1.0]), Print::turned(&picture, 1));
    for (a, b) in [(&whole.rough, &turned.rough), (&whole.exact, &turned.exact)] {
        let product: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        assert!(product > 0.999, "{product}");
    }
}
